package mta

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"github.com/gomailroom/mailroom/imap"
	"github.com/gomailroom/mailroom/mime"
	"github.com/gomailroom/mailroom/spam"
)

// A Trainer teaches a classifier what users do with their mail. A message that is moved into the Junk mailbox is spam, one that is moved out of it is not, and so are messages
// that are given the keywords $Junk and $NotJunk, as mail programs do for "this is spam". What was learned is noted in the same keywords, so nothing is learned twice.
type Trainer struct {
	Backend imap.Backend
	Learner spam.Learner
	MaxSize int64        // octets of messages that are learned; default 1 MiB
	Logger  *slog.Logger // nil: silent
}

// The keywords of RFC 9051 s2.3.2.
const (
	keywordJunk    = "$Junk"
	keywordNotJunk = "$NotJunk"
)

// Run watches the accounts of these identities until the context ends. What happened before is not looked at.
func (t *Trainer) Run(ctx context.Context, identities ...string) error {
	var all sync.WaitGroup
	errs := make([]error, len(identities))
	for i, identity := range identities {
		all.Go(func() { errs[i] = t.watch(ctx, identity) })
	}
	all.Wait()
	return errors.Join(errs...)
}

// pupil is one account that is watched.
type pupil struct {
	*Trainer
	identity string
	account  imap.Account
	seen     map[imap.MailboxID]*imap.View // as of the last look
	noted    map[imap.MailboxID]notes      // what the last look has marked itself
}

// notes are messages that were learned, as spam and as not.
type notes struct{ spam, ham imap.UIDSet }

func (t *Trainer) watch(ctx context.Context, identity string) error {
	account, err := t.Backend.Account(ctx, identity)
	if err != nil {
		return fmt.Errorf("mta: train %s: %w", identity, err)
	}
	defer account.Close()
	p := &pupil{Trainer: t, identity: identity, account: account, seen: map[imap.MailboxID]*imap.View{}, noted: map[imap.MailboxID]notes{}}
	changed := make(chan struct{}, 1)
	defer account.Watch(func(imap.MailboxID) {
		select {
		case changed <- struct{}{}:
		default:
		}
	})()
	for first := true; ; first = false {
		if err := p.look(ctx, first); err != nil && ctx.Err() == nil && t.Logger != nil {
			t.Logger.LogAttrs(ctx, slog.LevelWarn, "cannot look for spam that was moved", slog.String("account", identity), slog.Any("error", err))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		}
	}
}

// look compares every mailbox with what it was at the last look.
func (p *pupil) look(ctx context.Context, first bool) error {
	list, err := p.account.Mailboxes(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, info := range list {
		if info.ID == "" || info.NoSelect || info.SpecialUse == `\Trash` || info.SpecialUse == `\Drafts` || info.SpecialUse == `\Sent` {
			continue
		}
		box, err := p.account.Open(ctx, info.Name)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		now, err := box.View(ctx)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		was := p.seen[info.ID]
		p.seen[info.ID] = now
		if first || was == now {
			continue
		}
		if was == nil {
			was = imap.NewView(now.UIDValidity())
		}
		n := judgements(was, now, info.SpecialUse == `\Junk`)
		n.spam, n.ham = n.spam.Subtract(p.noted[info.ID].spam), n.ham.Subtract(p.noted[info.ID].ham)
		p.noted[info.ID] = n
		errs = append(errs, p.learn(ctx, box, n.spam, true), p.learn(ctx, box, n.ham, false))
	}
	return errors.Join(errs...)
}

// judgements finds what the user said between two views.
func judgements(was, now *imap.View, inJunk bool) (n notes) {
	junk, notJunk := keyword(now, keywordJunk), keyword(now, keywordNotJunk)
	for _, m := range now.Changed(was.ModSeq()) {
		marked, cleared := m.Flags&junk != 0, m.Flags&notJunk != 0
		if seq, ok := was.Seq(m.UID); ok { // it was here: only a change of keywords says something
			old := was.Message(seq)
			hadJunk, hadNotJunk := old.Flags&keyword(was, keywordJunk) != 0, old.Flags&keyword(was, keywordNotJunk) != 0
			switch {
			case marked && !hadJunk && !cleared:
				n.spam.Add(m.UID)
			case cleared && !hadNotJunk && !marked:
				n.ham.Add(m.UID)
			}
			continue
		}
		switch {
		case inJunk && !marked: // the filter marks what it puts there, so this was a person
			n.spam.Add(m.UID)
		case !inJunk && marked:
			n.ham.Add(m.UID)
		}
	}
	return n
}

// keyword gives the flag of a keyword in a view; none when the mailbox does not have it.
func keyword(v *imap.View, name string) imap.Flags {
	i := slices.IndexFunc(v.Keywords(), func(k string) bool { return strings.EqualFold(k, name) })
	if i < 0 {
		return 0
	}
	return imap.FlagKeyword << i
}

// learn teaches messages of a mailbox, and notes it on them.
func (p *pupil) learn(ctx context.Context, box imap.Mailbox, uids imap.UIDSet, isSpam bool) error {
	if uids.IsEmpty() {
		return nil
	}
	var learned imap.UIDSet
	for item, err := range box.Fetch(ctx, uids, imap.Want{Body: true}) {
		if err != nil {
			return err
		}
		if item.Body.Size() > cmp.Or(p.MaxSize, 1<<20) {
			continue
		}
		message, err := mime.Parse(item.Body, item.Body.Size())
		if err != nil {
			return err
		}
		if err := p.Learner.Learn(ctx, &spam.Mail{Account: p.identity, Message: message}, isSpam); err != nil {
			return err
		}
		learned.Add(item.UID)
	}
	add, remove := keywordJunk, keywordNotJunk
	if !isSpam {
		add, remove = remove, add
	}
	if p.Logger != nil {
		p.Logger.LogAttrs(ctx, slog.LevelInfo, "learned", slog.String("account", p.identity), slog.Int("messages", learned.Len()), slog.Bool("spam", isSpam))
	}
	if _, err := box.SetFlags(ctx, learned, imap.FlagChange{Op: imap.FlagsAdd, Keywords: []string{add}}); err != nil {
		return err
	}
	_, err := box.SetFlags(ctx, learned, imap.FlagChange{Op: imap.FlagsRemove, Keywords: []string{remove}})
	return err
}
