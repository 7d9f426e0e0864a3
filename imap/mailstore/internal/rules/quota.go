package rules

import (
	"fmt"

	"github.com/gomailroom/mailroom/imap"
)

// Room says whether an account has room for some more: nil or ErrOverQuota.
func Room(q imap.Quota, octets, messages int64) error {
	if q.OctetLimit > 0 && octets > q.OctetLimit-q.Octets {
		return fmt.Errorf("%w: %d of %d octets in use, %d more", imap.ErrOverQuota, q.Octets, q.OctetLimit, octets)
	}
	if q.MessageLimit > 0 && messages > q.MessageLimit-q.Messages {
		return fmt.Errorf("%w: %d of %d messages in use, %d more", imap.ErrOverQuota, q.Messages, q.MessageLimit, messages)
	}
	return nil
}
