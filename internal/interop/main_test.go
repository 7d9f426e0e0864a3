//go:build unix

package interop

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"testing"

	"github.com/gomailroom/mailroom/internal/certs"
)

// common is what all tests share: the compiled server, and a certificate for it that clients can verify.
var common struct {
	once                     sync.Once
	err                      error
	dir                      string
	binary                   string
	authority, cert, key     string // files
	authorityCert            *x509.Certificate
	fingerprint              [sha256.Size]byte // of the server's certificate
	fingerprintWithDelimiter string
}

func TestMain(m *testing.M) {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given { // the programs mostly wait, some of them for a second at a time
		flag.Set("test.parallel", strconv.Itoa(3*runtime.GOMAXPROCS(0)))
	}
	code := m.Run()
	if common.dir != "" {
		os.RemoveAll(common.dir)
	}
	os.Exit(code)
}

func prepare() error {
	common.once.Do(func() { common.err = build() })
	return common.err
}

func build() (err error) {
	// The go command takes an old result again unless something changed that the tests looked at. So they look at all that the server is made of.
	err = filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && len(d.Name()) > 2 && d.Name()[0] == '.' {
			return filepath.SkipDir
		}
		return err
	})
	if err != nil {
		return err
	}
	if common.dir, err = os.MkdirTemp("", "mailroom-interop-"); err != nil {
		return err
	}
	ca := certs.NewCA()
	pair := ca.Issue("localhost", "example.test", "127.0.0.1")
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		return err
	}
	common.authorityCert = ca.Certificate()
	common.fingerprint = sha256.Sum256(pair.Certificate[0])
	for i, b := range common.fingerprint {
		if i > 0 {
			common.fingerprintWithDelimiter += ":"
		}
		common.fingerprintWithDelimiter += fmt.Sprintf("%02X", b)
	}
	write := func(name, kind string, ders ...[]byte) string {
		var text []byte
		for _, der := range ders {
			text = append(text, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})...)
		}
		name = filepath.Join(common.dir, name)
		err = errors.Join(err, os.WriteFile(name, text, 0o600))
		return name
	}
	common.authority = write("authority.pem", "CERTIFICATE", ca.Certificate().Raw)
	common.cert = write("cert.pem", "CERTIFICATE", pair.Certificate...)
	common.key = write("key.pem", "PRIVATE KEY", key)
	common.binary = filepath.Join(common.dir, "mailserver")
	args := []string{"build", "-o", common.binary}
	if race {
		args = append(args, "-race")
	}
	out, e := exec.Command("go", append(args, "github.com/gomailroom/mailroom/examples/mailserver")...).CombinedOutput()
	if e != nil {
		return errors.Join(err, fmt.Errorf("go build: %w\n%s", e, out))
	}
	return err
}
