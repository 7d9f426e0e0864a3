package mailroom_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/gomailroom/mailroom"

// rooms lists every room from the ground up. A package may import packages of lower floors and of its own room; rooms
// on one floor do not know each other.
var rooms = []struct {
	path  string
	floor int
	third []string // modules from elsewhere that the room may link, directly or not
}{
	{"internal", 0, []string{"github.com/xdg-go/scram", "github.com/xdg-go/stringprep", "golang.org/x/crypto", "golang.org/x/net", "golang.org/x/text"}},
	{"mime", 1, []string{"github.com/emersion/go-message", "golang.org/x/net", "golang.org/x/text"}},
	{"mime/openpgp", 2, []string{"github.com/ProtonMail/go-crypto", "github.com/cloudflare/circl", "github.com/emersion/go-message", "golang.org/x/crypto", "golang.org/x/net", "golang.org/x/sys", "golang.org/x/text"}},
	{"mime/smime", 2, []string{"github.com/emersion/go-message", "golang.org/x/net", "golang.org/x/text"}},
	{"mxresolve", 1, []string{"github.com/miekg/dns", "golang.org/x/net", "golang.org/x/sys", "golang.org/x/text", "golang.org/x/sync"}},
	{"smtp", 2, []string{"github.com/xdg-go/scram", "github.com/xdg-go/stringprep", "golang.org/x/crypto", "golang.org/x/net", "golang.org/x/text"}},
	{"pop3", 2, []string{"github.com/xdg-go/scram", "github.com/xdg-go/stringprep", "golang.org/x/crypto", "golang.org/x/net", "golang.org/x/text"}},
	{"imap", 2, []string{"github.com/emersion/go-message", "github.com/xdg-go/scram", "github.com/xdg-go/stringprep", "golang.org/x/crypto", "golang.org/x/net", "golang.org/x/text"}},
	{"spam", 3, []string{"github.com/emersion/go-message", "golang.org/x/net", "golang.org/x/text"}},
	{"imap/mailstore", 3, []string{"github.com/emersion/go-message", "github.com/xdg-go/scram", "github.com/xdg-go/stringprep", "golang.org/x/crypto", "golang.org/x/net", "golang.org/x/text"}},
	{"smtp/queue", 3, []string{"github.com/emersion/go-message", "github.com/miekg/dns", "github.com/xdg-go/scram", "github.com/xdg-go/stringprep", "golang.org/x/crypto", "golang.org/x/net", "golang.org/x/text", "golang.org/x/sys", "golang.org/x/sync"}},
	{"smtp/mta", 4, []string{"github.com/emersion/go-message", "github.com/miekg/dns", "github.com/xdg-go/scram", "github.com/xdg-go/stringprep", "golang.org/x/crypto", "golang.org/x/net", "golang.org/x/text", "golang.org/x/sys", "golang.org/x/sync"}},
	{"smtp/smtptest", 5, []string{"github.com/emersion/go-message", "github.com/xdg-go/scram", "github.com/xdg-go/stringprep", "golang.org/x/crypto", "golang.org/x/net", "golang.org/x/text", "github.com/stretchr/testify"}},
	{"examples", 6, nil},
}

type pkg struct {
	ImportPath string
	Standard   bool
	Imports    []string
	Module     *struct{ Path string }
}

func room(path string) int {
	best := -1
	for i, r := range rooms {
		full := module + "/" + r.path
		if (path == full || strings.HasPrefix(path, full+"/")) && (best < 0 || len(r.path) > len(rooms[best].path)) {
			best = i
		}
	}
	return best
}

func list(t *testing.T, args ...string) []pkg {
	t.Helper()
	out, err := exec.Command("go", append([]string{"list", "-json=ImportPath,Standard,Imports,Module"}, args...)...).Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		t.Fatalf("go list: %s", exit.Stderr)
	}
	require.NoError(t, err)
	var all []pkg
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		err := d.Decode(&p)
		if errors.Is(err, io.EOF) {
			return all
		}
		require.NoError(t, err)
		all = append(all, p)
	}
}

// TestFloors holds the order of the rooms: packages import downwards only.
func TestFloors(t *testing.T) {
	t.Parallel()
	for _, p := range list(t, "./...") {
		if p.ImportPath == module {
			require.Empty(t, p.Imports, "the root package is documentation only")
			continue
		}
		from := room(p.ImportPath)
		require.GreaterOrEqual(t, from, 0, "%s stands outside of every room", p.ImportPath)
		for _, imp := range p.Imports {
			to := room(imp)
			if to < 0 || to == from {
				continue
			}
			if rooms[from].floor <= rooms[to].floor && !oneHouse(rooms[from].path, rooms[to].path) {
				t.Errorf("%s imports %s, which is not below it", p.ImportPath, imp)
			}
		}
	}
}

// oneHouse allows the one known exception: the POP3 view of a store stands beside the store and serves pop3.
func oneHouse(from, to string) bool { return from == "imap/mailstore" && to == "pop3" }

// TestThirdParty holds each room's list of modules from elsewhere, so that importing one room stays light.
func TestThirdParty(t *testing.T) {
	t.Parallel()
	for _, r := range rooms {
		if r.third == nil {
			continue
		}
		t.Run(r.path, func(t *testing.T) {
			t.Parallel()
			for _, own := range list(t, "./"+r.path+"/...") {
				if room(own.ImportPath) < 0 || rooms[room(own.ImportPath)].path != r.path {
					continue
				}
				for _, p := range list(t, "-deps", own.ImportPath) {
					if p.Standard || p.Module == nil || p.Module.Path == module {
						continue
					}
					if !slices.Contains(r.third, p.Module.Path) {
						t.Errorf("%s links %s of module %s, which is not on the list of %s", own.ImportPath, p.ImportPath, p.Module.Path, r.path)
					}
				}
			}
		})
	}
}
