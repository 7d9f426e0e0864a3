package bench

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	gomail "github.com/wneessen/go-mail"

	"github.com/gomailroom/mailroom/mime"
)

// BenchmarkPeak tells the most memory that a process holds, beyond what it starts with, which reads a letter with 25 MiB attached from a file, or composes one of
// a file. Each runs in a process of its own.
func BenchmarkPeak(b *testing.B) {
	if runtime.GOOS != "linux" {
		b.Skip("the peak is read from /proc")
	}
	name := filepath.Join(b.TempDir(), "25MiB")
	require.NoError(b, os.WriteFile(name, Attachment(1, 25<<20), 0o600))
	for what := range peaks {
		b.Run(what, func(b *testing.B) {
			var peak float64
			for b.Loop() {
				c := exec.Command(os.Args[0], "-test.run=^TestPeak$")
				c.Env = append(os.Environ(), "BENCH_PEAK="+what, "BENCH_FILE="+name)
				out, err := c.Output()
				require.NoError(b, err)
				_, after, _ := strings.Cut(string(out), "peak KiB: ")
				_, err = fmt.Sscan(after, &peak)
				require.NoError(b, err)
			}
			b.ReportMetric(peak/1024, "MiB")
		})
	}
}

var peaks = map[string]func(name string) error{
	"read mailroom": func(name string) error {
		f, size, err := openSized(name)
		if err != nil {
			return err
		}
		defer f.Close()
		m, err := mime.Parse(f, size)
		if err != nil {
			return err
		}
		return readParsed(m)
	},
	"read std": func(name string) error {
		f, _, err := openSized(name)
		if err != nil {
			return err
		}
		defer f.Close()
		return readStandardFrom(f)
	},
	"compose mailroom": func(name string) error {
		c, err := mime.Letter{From: mime.Addr("", "from@example.org"), To: []mime.Address{mime.Addr("", "to@example.net")}, Subject: "x", Text: "x",
			Attachments: []mime.File{mime.OSFile(name)}}.Compose()
		if err != nil {
			return err
		}
		_, err = c.WriteTo(io.Discard)
		return err
	},
	"compose go-mail": func(name string) error {
		m := gomail.NewMsg()
		if err := errors.Join(m.From("from@example.org"), m.To("to@example.net")); err != nil {
			return err
		}
		m.AttachFile(name)
		_, err := m.WriteTo(io.Discard)
		return err
	},
}

func openSized(name string) (*os.File, int64, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	return f, info.Size(), err
}

// TestPeak is what BenchmarkPeak runs.
func TestPeak(t *testing.T) {
	run := peaks[os.Getenv("BENCH_PEAK")]
	if run == nil {
		t.Skip("for BenchmarkPeak")
	}
	require.NoError(t, os.WriteFile("/proc/self/clear_refs", []byte("5"), 0)) // the peak so far is forgotten
	start := residentPeak(t)
	require.NoError(t, run(os.Getenv("BENCH_FILE")))
	fmt.Println("peak KiB:", residentPeak(t)-start)
}

// residentPeak is the most memory, in KiB, that the process has held so far.
func residentPeak(t *testing.T) (kib int) {
	b, err := os.ReadFile("/proc/self/status")
	require.NoError(t, err)
	_, after, _ := strings.Cut(string(b), "VmHWM:")
	_, err = fmt.Sscan(after, &kib)
	require.NoError(t, err)
	return kib
}
