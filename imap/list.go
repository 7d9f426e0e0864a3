package imap

import (
	"errors"
	"slices"
	"strings"
)

// listQuery is LIST as RFC 5258 extends it.
type listQuery struct {
	patterns                          []string
	subscribed, recursive, specialUse bool // selection
	extended, wantSubscribed          bool
	status                            []string // RFC 5819
}

// listed is a name with what LIST has to tell of it.
type listed struct {
	MailboxInfo
	missing  bool // a level of the hierarchy, or a subscribed name, without a mailbox
	children bool // a mailbox is below
	below    bool // a subscribed name is below, or one with a special use where that was asked for
}

func (s *session) cmdList(c *command) error {
	q, err := s.parseList(&c.p)
	if err != nil {
		return err
	}
	if len(q.patterns) == 1 && q.patterns[0] == "" && !q.extended {
		s.out.line(`* LIST (\Noselect) "/" ""`) // asks for the separator (RFC 3501 s6.3.8)
		return nil
	}
	names, err := s.hierarchy(q.chosen)
	if err != nil {
		return err
	}
	for i := range names {
		m := &names[i]
		if !q.match(m.Name) || !q.shows(m) {
			continue
		}
		s.sendList(&q, m)
		if len(q.status) > 0 && !m.missing && !m.NoSelect {
			if err := s.sendStatus(m.Name, q.status); err != nil && !errors.Is(err, ErrNotFound) {
				return err
			}
		}
	}
	return nil
}

func (s *session) parseList(p *parser) (q listQuery, err error) {
	p.sp()
	if p.peek() == '(' {
		q.extended = true
		p.list(func() {
			switch p.word() {
			case "SUBSCRIBED":
				q.subscribed, q.wantSubscribed = true, true
			case "SPECIAL-USE":
				q.specialUse = true
			case "RECURSIVEMATCH":
				q.recursive = true
			case "REMOTE": // there are none
			default:
				p.fail("a selection option")
			}
		})
		p.sp()
	}
	reference := p.pattern()
	p.sp()
	add := func() {
		if len(q.patterns) >= s.cfg.limits.SearchKeys {
			p.err = no("LIMIT", "Too many patterns")
		}
		q.patterns = append(q.patterns, listPattern(reference, p.pattern()))
	}
	if p.peek() == '(' {
		q.extended = true
		p.list(add)
	} else {
		add()
	}
	if p.more() {
		q.extended = true
		if p.word() != "RETURN" {
			p.fail("RETURN")
		}
		p.sp()
		p.list(func() {
			switch p.word() {
			case "SUBSCRIBED":
				q.wantSubscribed = true
			case "CHILDREN", "SPECIAL-USE": // told in any case
			case "STATUS":
				p.sp()
				q.status = p.statusAtts()
			default:
				p.fail("a return option")
			}
		})
	}
	if err := p.end(); err != nil {
		return q, err
	}
	if q.recursive && !q.subscribed && !q.specialUse { // RFC 5258 s3.1
		return q, bad("RECURSIVEMATCH needs another selection option")
	}
	return q, nil
}

// listPattern puts reference and pattern together. INBOX is INBOX in any case.
func listPattern(reference, pattern string) string {
	if pattern == "" { // whatever the reference: no name is rooted (RFC 3501 s6.3.8)
		return ""
	}
	full := reference + pattern
	if first, rest, below := strings.Cut(full, "/"); strings.EqualFold(first, "INBOX") {
		full = "INBOX"
		if below {
			full += "/" + rest
		}
	}
	return full
}

// chosen is the selection criterion.
func (q *listQuery) chosen(m *MailboxInfo) bool {
	return (!q.subscribed || m.Subscribed) && (!q.specialUse || m.SpecialUse != "")
}

func (q *listQuery) shows(m *listed) bool {
	if q.recursive && m.below {
		return true
	}
	if m.missing && !q.subscribed {
		// A missing level shows where "%" at the end asks for levels (RFC 3501 s6.3.8).
		return m.children && !q.specialUse && slices.ContainsFunc(q.patterns, func(p string) bool {
			return strings.HasSuffix(p, "%") && matchPattern(p, m.Name)
		})
	}
	return q.chosen(&m.MailboxInfo)
}

func (q *listQuery) match(name string) bool {
	return slices.ContainsFunc(q.patterns, func(p string) bool {
		return matchPattern(p, name) || name == "INBOX" && matchPattern(strings.ToUpper(p), name)
	})
}

// hierarchy gives all names, and the levels above them that are no mailboxes, in order. chosen marks the names above those that it picks.
func (s *session) hierarchy(chosen func(*MailboxInfo) bool) ([]listed, error) {
	infos, err := s.account.Mailboxes(s.ctx)
	if err != nil {
		return nil, err
	}
	index := make(map[string]int, len(infos))
	names := make([]listed, 0, len(infos))
	for _, m := range infos {
		index[m.Name] = len(names)
		names = append(names, listed{MailboxInfo: m, missing: m.ID == "" && !m.NoSelect})
	}
	for i := range infos {
		m := &infos[i]
		for up := m.Name; ; {
			slash := strings.LastIndexByte(up, '/')
			if slash < 0 {
				break
			}
			up = up[:slash]
			j, ok := index[up]
			if !ok {
				j = len(names)
				index[up] = j
				names = append(names, listed{MailboxInfo: MailboxInfo{Name: up}, missing: true})
			}
			if m.ID != "" || m.NoSelect {
				names[j].children = true
			}
			if chosen(m) {
				names[j].below = true
			}
		}
	}
	slices.SortFunc(names, func(a, b listed) int { return strings.Compare(a.Name, b.Name) })
	return names, nil
}

func (s *session) sendList(q *listQuery, m *listed) {
	w := &s.out
	w.str("* LIST (")
	sep := ""
	attr := func(name string) {
		w.str(sep)
		w.str(name)
		sep = " "
	}
	if m.missing {
		attr(`\NonExistent`)
	}
	if m.missing || m.NoSelect {
		attr(`\Noselect`)
	}
	if m.children {
		attr(`\HasChildren`)
	} else {
		attr(`\HasNoChildren`)
	}
	if q.wantSubscribed && m.Subscribed {
		attr(`\Subscribed`)
	}
	if m.SpecialUse != "" {
		attr(m.SpecialUse)
	}
	w.str(`) "/" `)
	w.mailbox(m.Name)
	if q.recursive && m.below { // RFC 5258 s3.5
		kinds := make([]string, 0, 2)
		if q.subscribed {
			kinds = append(kinds, `"SUBSCRIBED"`)
		}
		if q.specialUse {
			kinds = append(kinds, `"SPECIAL-USE"`)
		}
		w.str(` ("CHILDINFO" (` + strings.Join(kinds, " ") + `))`)
	}
	w.crlf()
}

// cmdLsub is RFC 3501 s6.3.9.
func (s *session) cmdLsub(c *command) error {
	c.p.sp()
	reference := c.p.pattern()
	c.p.sp()
	pattern := listPattern(reference, c.p.pattern())
	if err := c.p.end(); err != nil {
		return err
	}
	q := listQuery{patterns: []string{pattern}}
	names, err := s.hierarchy(func(m *MailboxInfo) bool { return m.Subscribed })
	if err != nil {
		return err
	}
	for _, m := range names {
		if !q.match(m.Name) {
			continue
		}
		switch {
		case m.Subscribed && (m.missing || m.NoSelect):
			s.out.str(`* LSUB (\Noselect) "/" `)
		case m.Subscribed:
			s.out.str(`* LSUB () "/" `)
		case m.below && strings.HasSuffix(pattern, "%"): // a level above a subscribed name
			s.out.str(`* LSUB (\Noselect) "/" `)
		default:
			continue
		}
		s.out.mailbox(m.Name)
		s.out.crlf()
	}
	return nil
}

// matchPattern matches a name with "*", which is anything, and "%", which is anything within a level. It costs at most the product of both lengths.
func matchPattern(pattern, name string) bool {
	if !strings.ContainsAny(pattern, "*%") {
		return pattern == name
	}
	if len(pattern) > 4*maxMailboxName {
		return false
	}
	at := make([]bool, len(pattern)+1) // which parts of the pattern match what was read of the name
	next := make([]bool, len(pattern)+1)
	skip := func(at []bool) { // wildcards match nothing, too
		for i := 0; i < len(pattern); i++ {
			if at[i] && (pattern[i] == '*' || pattern[i] == '%') {
				at[i+1] = true
			}
		}
	}
	at[0] = true
	skip(at)
	for j := 0; j < len(name); j++ {
		clear(next)
		alive := false
		for i := 0; i < len(pattern); i++ {
			switch {
			case !at[i]:
			case pattern[i] == '*' || pattern[i] == '%' && name[j] != '/':
				next[i], alive = true, true
			case pattern[i] == name[j] && pattern[i] != '%':
				next[i+1], alive = true, true
			}
		}
		if !alive {
			return false
		}
		skip(next)
		at, next = next, at
	}
	return at[len(pattern)]
}
