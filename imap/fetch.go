package imap

import (
	"errors"
	"io"
	"log/slog"

	"github.com/gomailroom/mailroom/mime"
)

// fetchBatch is how many messages are asked of the backend at a time.
const fetchBatch = 256

// A fetched is a message on its way to the client.
type fetched struct {
	seq   uint32
	m     Message
	flags bool // FLAGS goes along, since \Seen was set just now
	begun bool // an item has been written
}

// item writes the name of an item, and what separates it from the one before.
func (f *fetched) item(w *writer, name string) {
	if f.begun {
		w.byte(' ')
	} else {
		w.byte('(')
	}
	f.begun = true
	w.str(name)
}

// cmdFetch is FETCH and UID FETCH (RFC 3501 s6.4.5). What the view knows is answered from it alone; the rest comes from the backend in batches, and nothing is ever gathered in memory.
func (s *session) cmdFetch(c *command) error {
	set, plan, err := c.p.fetch()
	if err != nil {
		return err
	}
	plan.uid = plan.uid || c.uid
	if plan.modseq {
		s.enableCondstore()
	}
	b := s.box
	uids, lost, err := b.resolve(set, c.uid)
	if err != nil {
		return err
	}
	plan.seen = plan.seen && !b.readOnly
	// Numbers are those of this moment: the session may move on to newer views while it sends, but tells of no expunge before the end.
	then := b.picture
	batch := make([]fetched, 0, fetchBatch)
	for seq, m := range then.view.Within(uids) {
		if plan.condition && m.ModSeq <= plan.since {
			continue
		}
		f := fetched{seq: then.seq(seq), m: m}
		if !plan.want.Structure && !plan.want.Body {
			s.sendViewItems(&plan, &f)
			if s.out.byte(')'); s.out.err != nil {
				return s.out.err
			}
			s.out.crlf()
			continue
		}
		if batch = append(batch, f); len(batch) == fetchBatch {
			n, err := s.fetchBatch(&plan, batch)
			if err != nil {
				return err
			}
			lost = lost || n < len(batch)
			batch = batch[:0]
		}
	}
	if len(batch) > 0 {
		n, err := s.fetchBatch(&plan, batch)
		if err != nil {
			return err
		}
		lost = lost || n < len(batch)
	}
	if lost && !c.uid { // RFC 2180 s4.1.2
		return no("EXPUNGEISSUED", "Some of these messages are no more")
	}
	return nil
}

// fetchBatch sends a batch and says how many of its messages still existed.
func (s *session) fetchBatch(plan *fetchPlan, batch []fetched) (n int, err error) {
	b := s.box
	var uids, unseen UIDSet
	for i := range batch {
		uids.Add(batch[i].m.UID)
		if plan.seen && batch[i].m.Flags&FlagSeen == 0 {
			unseen.Add(batch[i].m.UID)
		}
	}
	if !unseen.IsEmpty() {
		if _, err := b.mbox.SetFlags(s.ctx, unseen, FlagChange{Op: FlagsAdd, Flags: FlagSeen}); err != nil {
			s.log(slog.LevelWarn, "\\Seen not set", "mailbox", b.name, "error", err) // the messages can be read all the same
		} else if err := s.advance(); err != nil {
			return 0, err
		}
		for i := range batch {
			f := &batch[i]
			if f.m.Flags&FlagSeen == 0 {
				if seq, ok := b.view.Seq(f.m.UID); ok {
					f.m = b.view.Message(seq)
					f.flags = f.m.Flags&FlagSeen != 0
				}
			}
		}
	}
	for item, err := range b.mbox.Fetch(s.ctx, uids, plan.want) {
		if err != nil {
			return n, err
		}
		for len(batch) > 0 && batch[0].m.UID < item.UID {
			batch = batch[1:]
		}
		if len(batch) == 0 || batch[0].m.UID != item.UID {
			continue // not asked for
		}
		if err := s.sendMessage(plan, &batch[0], &item); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// sendViewItems begins a response with what the view knows.
func (s *session) sendViewItems(plan *fetchPlan, f *fetched) {
	w := &s.out
	w.room(200)
	w.str("* ")
	w.num(uint64(f.seq))
	w.str(" FETCH ")
	sep := byte('(')
	name := func(name string) {
		w.byte(sep)
		sep = ' '
		w.str(name)
	}
	if plan.uid {
		name("UID ")
		w.num(uint64(f.m.UID))
	}
	if plan.flags || f.flags {
		name("FLAGS ")
		w.flags(f.m.Flags, s.box.keywords)
		s.box.echo(f.m.UID, f.m.ModSeq)
	}
	if plan.modseq || s.condstore && (plan.flags || f.flags) {
		name("MODSEQ (")
		w.num(uint64(max(f.m.ModSeq, 1)))
		w.byte(')')
	}
	for i := range plan.items {
		switch plan.items[i].att {
		case attInternalDate:
			name("INTERNALDATE ")
			w.room(len(dateTimeLayout))
			w.b = f.m.InternalDate.AppendFormat(w.b, dateTimeLayout)
		case attSize:
			name("RFC822.SIZE ")
			w.num(uint64(f.m.Size))
		}
	}
	f.begun = sep == ' '
}

func (s *session) sendMessage(plan *fetchPlan, f *fetched, item *Item) error {
	w := &s.out
	w.room(4 << 10)
	mark := w.mark()
	s.sendViewItems(plan, f)
	for i := range plan.items {
		it := &plan.items[i]
		var err error
		switch it.att {
		case attEnvelope:
			f.item(w, "ENVELOPE ")
			w.envelope(&item.Structure.Envelope)
		case attBody:
			f.item(w, "BODY ")
			w.bodyStructure(&item.Structure.Root, false)
		case attBodyStructure:
			f.item(w, "BODYSTRUCTURE ")
			w.bodyStructure(&item.Structure.Root, true)
		case attSection:
			f.item(w, it.label)
			err = s.sendSection(&it.section, item)
		}
		if err == nil {
			err = w.err
		}
		if err != nil {
			if w.undo(mark) {
				return err
			}
			return &fatalError{err} // half a response is out: what follows would be misread
		}
	}
	w.str(")\r\n")
	return w.err
}

// maxHeader bounds what is read to pick header fields.
const maxHeader = 1 << 20

func (s *session) sendSection(sec *section, item *Item) error {
	w := &s.out
	off, size, ok := int64(0), item.Body.Size(), true
	if !sec.whole() {
		off, size, ok = item.Structure.Section(sec.path, sec.what)
	}
	if sec.partial {
		w.byte('<')
		w.num(uint64(sec.offset))
		w.byte('>')
	}
	if !ok { // no such part
		w.str(" NIL")
		return nil
	}
	w.byte(' ')
	if sec.fields != nil {
		raw := make([]byte, min(size, maxHeader))
		if n, err := item.Body.ReadAt(raw, off); n < len(raw) {
			return noEOF(err)
		}
		picked := mime.HeaderSubset(raw, sec.fields, sec.not)
		from, n := sec.cut(int64(len(picked)))
		w.literal(int(n))
		w.bytes(picked[from : from+n])
		return nil
	}
	from, n := sec.cut(size)
	if n == 0 {
		w.str(`""`)
		return nil
	}
	w.literal(int(n))
	return w.copyAt(item.Body, off+from, n)
}

// cut applies <origin.length> to something of a size.
func (s *section) cut(size int64) (from, n int64) {
	if !s.partial {
		return 0, size
	}
	from = min(s.offset, size)
	return from, min(s.length, size-from)
}

func noEOF(err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
