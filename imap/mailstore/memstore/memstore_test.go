package memstore_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gomailroom/mailroom/imap/imaptest"
	"github.com/gomailroom/mailroom/imap/mailstore"
	"github.com/gomailroom/mailroom/imap/mailstore/memstore"
)

func TestBackend(t *testing.T) {
	t.Parallel()
	imaptest.TestBackend(t, func(t *testing.T) imaptest.Setup {
		store := new(memstore.Store)
		require.NoError(t, store.CreateAccount(t.Context(), "alice", mailstore.Limits{}))
		return imaptest.Setup{Backend: store, Identity: "alice", SetQuota: func(octets, messages int64) error {
			return store.SetLimits(t.Context(), "alice", mailstore.Limits{Octets: octets, Messages: messages})
		}}
	})
}
