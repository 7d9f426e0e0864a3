package imapclient

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Mailbox is what SELECT and EXAMINE tell.
type Mailbox struct {
	Exists         uint32
	UIDValidity    uint32
	UIDNext        uint32
	Flags          []string
	PermanentFlags []string
	HighestModSeq  uint64
	ReadOnly       bool
	Reply          *Reply
}

// Select opens a mailbox. With readOnly it sends EXAMINE.
func (c *Client) Select(name string, readOnly bool) (*Mailbox, error) {
	verb := "SELECT "
	if readOnly {
		verb = "EXAMINE "
	}
	c.selected, c.exists = false, 0
	r, err := c.Cmd(verb, Str(name))
	if err != nil {
		return nil, err
	}
	c.selected = true
	m := &Mailbox{Exists: c.exists, Reply: r, ReadOnly: r.Code.Name == "READ-ONLY"}
	if len(r.Named("EXISTS")) != 1 {
		return nil, fmt.Errorf("%w: %d EXISTS in the answer to SELECT", ErrProtocol, len(r.Named("EXISTS")))
	}
	flags := r.Named("FLAGS")
	if len(flags) != 1 || len(flags[0].Values) != 1 || flags[0].Values[0].Kind != List {
		return nil, fmt.Errorf("%w: SELECT without one FLAGS list", ErrProtocol)
	}
	m.Flags = flags[0].Values[0].Strings()
	for _, u := range r.Named("OK") {
		if len(u.Code.Args) != 1 {
			continue
		}
		arg := u.Code.Args[0]
		switch u.Code.Name {
		case "PERMANENTFLAGS":
			m.PermanentFlags = arg.Strings()
			continue
		case "UIDVALIDITY", "UIDNEXT", "HIGHESTMODSEQ":
		default:
			continue
		}
		n, err := arg.Number()
		if err != nil {
			return nil, err
		}
		switch u.Code.Name {
		case "UIDVALIDITY":
			m.UIDValidity = uint32(n)
		case "UIDNEXT":
			m.UIDNext = uint32(n)
		case "HIGHESTMODSEQ":
			m.HighestModSeq = n
		}
	}
	if m.UIDValidity == 0 || m.UIDNext == 0 {
		return nil, fmt.Errorf("%w: SELECT without UIDVALIDITY or UIDNEXT", ErrProtocol)
	}
	return m, nil
}

// Message is what FETCH tells of a message: values by item name in upper case.
type Message struct {
	Seq   uint32
	Items map[string]Value
}

// UID returns the UID item, or 0.
func (m Message) UID() uint32 {
	n, _ := m.Items["UID"].Number()
	return uint32(n)
}

// Fetch sends FETCH, or UID FETCH, with items as written, such as
// "(UID FLAGS BODY.PEEK[])". It returns one Message for each FETCH response.
func (c *Client) Fetch(uid bool, set, items string) ([]Message, error) {
	r, err := c.Cmd(byUID(uid, "FETCH "), set, " ", items)
	if err != nil {
		return nil, err
	}
	return r.Messages()
}

// Messages takes the FETCH responses.
func (r *Reply) Messages() ([]Message, error) {
	var out []Message
	for _, u := range r.Named("FETCH") {
		m := Message{Seq: u.Number, Items: make(map[string]Value)}
		pairs := u.Values[0].List
		for i := 0; i < len(pairs); i += 2 {
			name := strings.ToUpper(pairs[i].Text)
			if pairs[i].Kind != Atom {
				return nil, fmt.Errorf("%w: FETCH item %s", ErrProtocol, pairs[i])
			}
			if _, twice := m.Items[name]; twice {
				return nil, fmt.Errorf("%w: FETCH item %s twice", ErrProtocol, name)
			}
			m.Items[name] = pairs[i+1]
		}
		out = append(out, m)
	}
	return out, nil
}

func byUID(uid bool, command string) string {
	if uid {
		return "UID " + command
	}
	return command
}

// Search sends SEARCH, or UID SEARCH, with criteria as written, and returns
// the numbers in ascending order.
func (c *Client) Search(uid bool, criteria string) ([]uint32, error) {
	r, err := c.Cmd(byUID(uid, "SEARCH "), criteria)
	if err != nil {
		return nil, err
	}
	var out []uint32
	for _, u := range r.Named("SEARCH") {
		for _, v := range u.Values {
			n, err := v.Number()
			if err != nil {
				return nil, err
			}
			out = append(out, uint32(n))
		}
	}
	for _, u := range r.Named("ESEARCH") { // RFC 9051 s7.3.4
		for i := range u.Values {
			if strings.EqualFold(u.Values[i].Text, "ALL") && i+1 < len(u.Values) {
				all, err := expand(u.Values[i+1].Text)
				if err != nil {
					return nil, err
				}
				out = append(out, all...)
			}
		}
	}
	slices.Sort(out)
	if len(slices.Compact(slices.Clone(out))) != len(out) {
		return nil, fmt.Errorf("%w: SEARCH gives a message twice", ErrProtocol)
	}
	return out, nil
}

// Store sends STORE, or UID STORE; change is such as "+FLAGS.SILENT (\Seen)".
func (c *Client) Store(uid bool, set, change string) ([]Message, error) {
	r, err := c.Cmd(byUID(uid, "STORE "), set, " ", change)
	if err != nil {
		return nil, err
	}
	return r.Messages()
}

// Append adds a message. flags is such as `(\Seen)`, or empty; a zero date
// leaves it to the server. It returns APPENDUID's numbers, 0 when not told.
func (c *Client) Append(mailbox, flags string, date time.Time, message []byte) (uidValidity, uid uint32, err error) {
	parts := []any{"APPEND ", Str(mailbox), " "}
	if flags != "" {
		parts = append(parts, flags+" ")
	}
	if !date.IsZero() {
		parts = append(parts, date.Format(`"_2-Jan-2006 15:04:05 -0700" `))
	}
	r, err := c.Cmd(append(parts, Lit(message))...)
	if err != nil || r.Code.Name != "APPENDUID" {
		return 0, 0, err
	}
	if len(r.Code.Args) != 2 {
		return 0, 0, fmt.Errorf("%w: APPENDUID %v", ErrProtocol, r.Code.Args)
	}
	v, err1 := r.Code.Args[0].Number()
	n, err2 := r.Code.Args[1].Number()
	if err1 != nil || err2 != nil {
		return 0, 0, fmt.Errorf("%w: APPENDUID %v", ErrProtocol, r.Code.Args)
	}
	return uint32(v), uint32(n), nil
}

// Copy sends COPY or UID COPY.
func (c *Client) Copy(uid bool, set, mailbox string) (*Reply, error) {
	return c.Cmd(byUID(uid, "COPY "), set, " ", Str(mailbox))
}

// Move sends MOVE or UID MOVE.
func (c *Client) Move(uid bool, set, mailbox string) (*Reply, error) {
	return c.Cmd(byUID(uid, "MOVE "), set, " ", Str(mailbox))
}

// Expunge sends EXPUNGE and returns the numbers as they came.
func (c *Client) Expunge() ([]uint32, error) {
	r, err := c.Cmd("EXPUNGE")
	if err != nil {
		return nil, err
	}
	var out []uint32
	for _, u := range r.Named("EXPUNGE") {
		out = append(out, u.Number)
	}
	return out, nil
}

// Entry is a mailbox in the answer to LIST.
type Entry struct {
	Name       string
	Delimiter  string // empty: none
	Attributes []string
}

// List sends LIST.
func (c *Client) List(reference, pattern string) ([]Entry, error) {
	r, err := c.Cmd("LIST ", Str(reference), " ", Str(pattern))
	if err != nil {
		return nil, err
	}
	var out []Entry
	for _, u := range r.Named("LIST") {
		if len(u.Values) < 3 || u.Values[0].Kind != List || u.Values[2].Kind == List ||
			u.Values[1].Kind != Nil && (u.Values[1].Kind != Quoted || len(u.Values[1].Text) != 1) {
			return nil, fmt.Errorf("%w: LIST %v", ErrProtocol, u.Values)
		}
		name := u.Values[2].Text
		if u.Values[2].Kind == Nil {
			name = "NIL" // an astring that happens to read so
		}
		out = append(out, Entry{Name: name, Delimiter: u.Values[1].Text, Attributes: u.Values[0].Strings()})
	}
	return out, nil
}

// Status sends STATUS with items such as "MESSAGES UNSEEN".
func (c *Client) Status(mailbox, items string) (map[string]uint64, error) {
	r, err := c.Cmd("STATUS ", Str(mailbox), " (", items, ")")
	if err != nil {
		return nil, err
	}
	u := r.Named("STATUS")
	if len(u) != 1 || len(u[0].Values) != 2 || u[0].Values[1].Kind != List || len(u[0].Values[1].List)%2 != 0 {
		return nil, fmt.Errorf("%w: STATUS without one list of pairs", ErrProtocol)
	}
	out := make(map[string]uint64)
	pairs := u[0].Values[1].List
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1].Kind != Atom {
			continue // MAILBOXID and such
		}
		n, err := pairs[i+1].Number()
		if err != nil {
			return nil, err
		}
		out[strings.ToUpper(pairs[i].Text)] = n
	}
	return out, nil
}

// Idle is a running IDLE (RFC 2177).
type Idle struct {
	c   *Client
	tag string
}

// Idle begins to wait for changes; end it with Done.
func (c *Client) Idle() (*Idle, error) {
	c.tags++
	i := &Idle{c: c, tag: "a" + strconv.Itoa(c.tags)}
	if err := c.write([]byte(i.tag+" IDLE\r\n"), i.tag+" IDLE"); err != nil {
		return nil, err
	}
	var reply Reply
	r, err := c.until(i.tag, "IDLE", &reply)
	if err != nil {
		return nil, err
	}
	if r.tag == i.tag {
		_, err := c.finish("IDLE", r, &reply)
		if err == nil {
			err = fmt.Errorf("%w: IDLE ends before DONE", ErrProtocol)
		}
		return nil, err
	}
	return i, nil
}

// Next waits for an untagged response, at most Timeout.
func (i *Idle) Next() (Untagged, error) {
	r, err := i.c.read()
	if err != nil {
		return Untagged{}, err
	}
	if r.tag != "*" {
		return Untagged{}, fmt.Errorf("%w: tag %q during IDLE", ErrProtocol, r.tag)
	}
	return r.Untagged, i.c.untagged("IDLE", r.Untagged)
}

// Done ends it, and returns what came meanwhile.
func (i *Idle) Done() (*Reply, error) {
	if err := i.c.write([]byte("DONE\r\n"), "DONE"); err != nil {
		return nil, err
	}
	reply := &Reply{}
	r, err := i.c.until(i.tag, "IDLE", reply)
	if err != nil {
		return nil, err
	}
	if r.tag == "+" {
		return nil, fmt.Errorf("%w: second continuation request", ErrProtocol)
	}
	return i.c.finish("IDLE", r, reply)
}

// expand turns "1:3,7" into its numbers, of which there may be a million.
func expand(set string) ([]uint32, error) {
	var out []uint32
	for part := range strings.SplitSeq(set, ",") {
		first, last, isRange := strings.Cut(part, ":")
		a, err := strconv.ParseUint(first, 10, 32)
		b := a
		if isRange && err == nil {
			b, err = strconv.ParseUint(last, 10, 32)
		}
		if a > b {
			a, b = b, a
		}
		if err != nil || a == 0 || b-a+uint64(len(out)) > 1_000_000 {
			return nil, fmt.Errorf("%w: number set %q", ErrProtocol, clip(set))
		}
		for n := a; n <= b; n++ {
			out = append(out, uint32(n))
		}
	}
	return out, nil
}
