package pop3test_test

import (
	"testing"

	"github.com/gomailroom/mailroom/pop3/pop3test"
)

func TestMemory(t *testing.T) {
	t.Parallel()
	pop3test.TestBackend(t, func(testing.TB) pop3test.Fixture {
		m := new(pop3test.Memory)
		return pop3test.Fixture{
			Backend:  m,
			Identity: "alice",
			Deliver:  func(_ testing.TB, message []byte) { m.Deliver("alice", message) },
			Exact:    true,
		}
	})
}
