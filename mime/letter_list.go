package mime

// List are the fields with which a mailing list describes itself (RFC 2369, RFC 2919). How to leave it is in [Letter.Unsubscribe].
type List struct {
	ID        string // as in "announce.example.org", with or without angle brackets
	Name      string // what people call it, before the ID
	Post      string // URL to write to; "NO" where nobody may
	Help      string // URLs
	Subscribe string
	Owner     string
	Archive   string
}

func (b *builder) list(l *List) {
	if l.ID != "" {
		b.check("List-ID", l.Name)
		id := trimAngles(l.ID)
		if !isDotAtom(id) || !isASCII(id) { // RFC 2919 s3
			b.fail("List-ID", "is no list identifier: "+l.ID)
			return
		}
		b.begin("List-ID")
		if l.Name != "" {
			b.phrase(l.Name)
		}
		b.token(" ", "<"+id+">")
		b.end()
	}
	for _, f := range []struct{ name, url string }{
		{"List-Post", l.Post}, {"List-Help", l.Help}, {"List-Subscribe", l.Subscribe}, {"List-Owner", l.Owner}, {"List-Archive", l.Archive},
	} {
		switch {
		case f.url == "":
		case f.name == "List-Post" && f.url == "NO": // RFC 2369 s3.4
			b.plain(f.name, f.url)
		default:
			b.urls(f.name, f.url)
		}
	}
}
