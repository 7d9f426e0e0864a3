package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gomailroom/mailroom/mxresolve/dnstest"
	"github.com/stretchr/testify/require"
)

const zones = `
example.org.     MX 10 mx1.example.org.
example.org.     MX 20 mx2.example.org.
example.org.     MX 30 .
mx1.example.org. A 192.0.2.1
mx1.example.org. AAAA 2001:db8::1
null.example.    MX 0 .
signed.example.  MX 10 mx.signed.example.
mx.signed.example. A 192.0.2.5
_25._tcp.mx.signed.example. TLSA 3 1 1 abababababababababababababababababababababababababababababababab
_smtp._tls.signed.example. TXT "v=TLSRPTv1; rua=mailto:tls@signed.example"
_mta-sts.sts.example. TXT "v=STSv1; id=5"
sts.example.     MX 10 mx.sts.example.
sts.example.     MX 20 mx1.example.org.
mx.sts.example.  A 192.0.2.6
own.example.     A 192.0.2.2
`

// TestMain lets the test binary be the program, for tests that run it.
func TestMain(m *testing.M) {
	if os.Getenv("RUN_MXLOOKUP") != "" {
		main()
	}
	os.Exit(m.Run())
}

// program runs mxlookup with these arguments.
func program(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	c := exec.CommandContext(t.Context(), os.Args[0], args...)
	c.Env = append(os.Environ(), "RUN_MXLOOKUP=1")
	return c
}

func serve(t *testing.T) *dnstest.Server {
	t.Helper()
	s, err := dnstest.Start(zones)
	require.NoError(t, err)
	t.Cleanup(func() { s.Close() })
	s.SetSecure("signed.example", true)
	s.SetFault("broken.example", "", dnstest.Fault{Rcode: dnstest.ServFail, Extended: 22, ExtendedText: "ns1 is silent"})
	s.SetFault("silent.example", "", dnstest.Fault{Drop: true})
	return s
}

func lookup(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	c := program(t, append([]string{"-resolver", serve(t).Addr()}, args...)...)
	c.Stdout, c.Stderr = &out, &errs
	if err := c.Run(); err != nil {
		var exit *exec.ExitError
		require.ErrorAs(t, err, &exit)
	}
	return c.ProcessState.ExitCode(), out.String(), errs.String()
}

func TestTree(t *testing.T) {
	t.Parallel()
	code, out, _ := lookup(t, "alice@example.org")
	require.Equal(t, 0, code)
	require.Regexp(t, `^example.org: mail can be delivered
├─ DNSSEC: not secured: no AD bit: the zone is not signed, or the name server does not validate
│  └─ name server 127.0.0.1:\d+ does not validate DNSSEC: .*
├─ valid for \dm?\d*s?
├─ to try, in this order
│  └─ 10 mx1.example.org
│     ├─ \[2001:db8::1\]:25
│     ├─ 192.0.2.1:25
│     └─ TLS: opportunistic
└─ not used
   ├─ 20 mx2.example.org: has no address
   │  └─ .*no such host
   └─ 30 \.: null target beside other MX records
$`, out)
}

func TestDANE(t *testing.T) {
	t.Parallel()
	code, out, _ := lookup(t, "signed.example")
	require.Equal(t, 0, code)
	require.Contains(t, out, "DNSSEC: secure\n")
	require.Contains(t, out, "TLS: DANE 3 1 1 abab")
	require.Contains(t, out, "TLSA 3 1 1 "+strings.Repeat("ab", 32))
	require.Contains(t, out, "TLS reports go to mailto:tls@signed.example")

	_, out, _ = lookup(t, "-json", "signed.example")
	var p jsonPlan
	require.NoError(t, json.Unmarshal([]byte(out), &p))
	require.True(t, p.Secure && p.Hosts[0].Mandatory)
	require.Equal(t, []string{"3 1 1 " + strings.Repeat("ab", 32)}, p.Hosts[0].TLSA)
	require.Equal(t, "mx.signed.example", p.Hosts[0].ServerName)
	require.Equal(t, []string{"mailto:tls@signed.example"}, p.Reports)
}

func TestMTASTS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "sts.example.sts"), []byte(
		"mta-sts-policy 1\ndomain sts.example\nid 5\nfetched "+time.Now().UTC().Format(time.RFC3339)+
			"\n\nversion: STSv1\nmode: enforce\nmx: *.sts.example\nmax_age: 86400\n"), 0o600))
	code, out, _ := lookup(t, "-sts-dir", dir, "sts.example")
	require.Equal(t, 0, code)
	require.Contains(t, out, "MTA-STS: enforce, id 5, until 20")
	require.Contains(t, out, "mx *.sts.example")
	require.Contains(t, out, "TLS: MTA-STS: mandatory with a valid certificate for mx.sts.example")
	require.Contains(t, out, "20 mx1.example.org: not allowed by the MTA-STS policy")

	_, out, _ = lookup(t, "-json", "-sts-dir", dir, "sts.example")
	var p jsonPlan
	require.NoError(t, json.Unmarshal([]byte(out), &p))
	require.Equal(t, "enforce", p.Policy.Mode)
	require.Equal(t, "validation-failure", string(p.Failures[0].Result))
	require.False(t, p.Upstreams[0].Validates)

	code, out, _ = lookup(t, "-v", "sts.example") // without the directory: there is no policy host
	require.Equal(t, 0, code)
	require.Contains(t, out, "TLS failure: sts-policy-fetch-error")
	_, out, _ = lookup(t, "-sts=false", "sts.example")
	require.NotContains(t, out, "STS")
}

func TestExitCodes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args []string
		code int
		says string // on standard output, or error for wrong usage
	}{
		{[]string{"own.example"}, 0, "own mail host"},
		{[]string{"[192.0.2.9]"}, 0, "address literal"},
		{[]string{"null.example"}, 1, "bounce, 556 5.1.10"},
		{[]string{"null.example"}, 1, "what to do: do not send mail there"},
		{[]string{"gone.example"}, 1, "what to do: check the spelling"},
		{[]string{"a..b"}, 1, "empty label"},
		{[]string{"-self", "mx1.example.org,192.0.2.77", "example.org"}, 1, "loops back"},
		{[]string{"broken.example"}, 75, "ns1 is silent"},
		{[]string{"broken.example"}, 75, "another name server with -resolver"},
		{[]string{"silent.example", "-timeout", "50ms"}, 75, "more time: -timeout"},
		{[]string{"-require-dane", "example.org"}, 75, "451 4.7.5"},
		{[]string{"signed.example", "-require-dane"}, 0, "to try"},
		{[]string{"own.example", "broken.example", "null.example"}, 1, "own mail host"},
		{[]string{"own.example", "broken.example"}, 75, "ns1 is silent"},
		{[]string{"--", "own.example"}, 0, "own mail host"},
		{[]string{"own.example", "--", "-v"}, 1, "what to do: check the spelling"},
		{[]string{"-h"}, 0, "Exit codes"},
		{[]string{"own.example", "--help"}, 0, "Examples"},
		{[]string{}, 2, "say which domain"},
		{[]string{"-network", "ip5", "a"}, 2, "ip5"},
		{[]string{"-nonsense"}, 2, "-nonsense"},
		{[]string{"a", "-nonsense"}, 2, "-nonsense"},
		{[]string{"-timeout", "0s", "a"}, 2, "-timeout must be more than nothing"},
		{[]string{"-timeout", "-5s", "a"}, 2, "-timeout must be more than nothing"},
		{[]string{"-timeout", "5", "a"}, 2, "-timeout"},
		{[]string{"-resolver", "nonsense", "a"}, 2, "want an IP address"},
		{[]string{"-resolver", "127.0.0.1,https://192.0.2.1", "a"}, 2, "unknown scheme"},
		{[]string{"-sts=false", "-sts-dir", "x", "a"}, 2, "leave one of them out"},
		{[]string{"-sts-dir", "/dev/null/x", "a"}, 2, "-sts-dir: "},
	} {
		t.Run(strings.Join(c.args, " "), func(t *testing.T) {
			t.Parallel()
			code, out, errs := lookup(t, c.args...)
			require.Equal(t, c.code, code, errs)
			if code == 2 {
				require.Empty(t, out)
				require.Equal(t, 1, strings.Count(errs, "\n"), "one line")
				require.Contains(t, errs, "mxlookup -h")
				out = errs
			} else {
				require.Empty(t, errs)
			}
			require.Contains(t, out, c.says)
		})
	}
}

func TestSeveralDomains(t *testing.T) {
	t.Parallel()
	domains := []string{"own.example", "null.example", "example.org", "signed.example", "gone.example"}
	code, out, _ := lookup(t, domains...)
	require.Equal(t, 1, code)
	at := -1
	for _, d := range domains {
		i := strings.Index(out, "\n"+d+": ")
		if d == domains[0] {
			i = strings.Index(out, d+": ")
		}
		require.Greater(t, i, at, "in the order of the arguments")
		at = i
	}
	_, out, _ = lookup(t, append(domains, "-json")...)
	dec := json.NewDecoder(strings.NewReader(out))
	for _, d := range domains {
		var p jsonPlan
		require.NoError(t, dec.Decode(&p))
		require.Equal(t, d, p.Domain)
	}
	require.False(t, dec.More())
}

func TestInterrupt(t *testing.T) {
	t.Parallel()
	c := program(t, "-resolver", serve(t).Addr(), "-v", "own.example", "silent.example")
	var out bytes.Buffer
	c.Stdout = &out
	errs, err := c.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, c.Start())
	lines := bufio.NewScanner(errs)
	for lines.Scan() && !strings.HasPrefix(lines.Text(), "> silent.example MX") {
	}
	require.NoError(t, c.Process.Signal(os.Interrupt))
	var rest []string
	for lines.Scan() {
		rest = append(rest, lines.Text())
	}
	require.Error(t, c.Wait())
	require.Equal(t, 130, c.ProcessState.ExitCode())
	require.Contains(t, rest, "mxlookup: interrupted") // -v tells of the questions that ended with it, before or after
}

func TestOutputFails(t *testing.T) {
	t.Parallel()
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("this system has no /dev/full")
	}
	defer full.Close()
	for _, flag := range []string{"-json", "-json=false"} {
		c := program(t, "-resolver", serve(t).Addr(), flag, "own.example")
		var errs bytes.Buffer
		c.Stdout, c.Stderr = full, &errs
		require.Error(t, c.Run())
		require.Equal(t, 74, c.ProcessState.ExitCode())
		require.Contains(t, errs.String(), "no space")
	}
}

var update = flag.Bool("update", false, "rewrite testdata")

// TestJSONIsStable compares the whole JSON with what programs rely on. Fields may be added, not changed.
func TestJSONIsStable(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "sts.example.sts"), []byte(
		"mta-sts-policy 1\ndomain sts.example\nid 5\nfetched "+time.Now().UTC().Format(time.RFC3339)+
			"\n\nversion: STSv1\nmode: enforce\nmx: *.sts.example\nmax_age: 86400\n"), 0o600))
	for _, d := range []string{"signed.example", "sts.example", "null.example", "broken.example"} {
		_, out, _ := lookup(t, "-json", "-sts-dir", dir, d)
		out = regexp.MustCompile(`"20\d\d-[^"]*Z?"`).ReplaceAllString(out, `"TIME"`)
		out = regexp.MustCompile(`127\.0\.0\.1:\d+`).ReplaceAllString(out, "127.0.0.1:PORT")
		file := filepath.Join("testdata", d+".json")
		if *update {
			require.NoError(t, os.WriteFile(file, []byte(out), 0o644))
		}
		want, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Equal(t, string(want), out)
	}
}

func TestJSON(t *testing.T) {
	t.Parallel()
	code, out, errs := lookup(t, "-json", "-v", "example.org")
	require.Equal(t, 0, code)
	var p jsonPlan
	require.NoError(t, json.Unmarshal([]byte(out), &p))
	require.Equal(t, "mx1.example.org", p.Hosts[0].Name)
	require.Equal(t, "opportunistic", p.Hosts[0].TLS)
	require.Equal(t, "has no address", p.Skipped[0].Reason)
	require.Contains(t, errs, "> example.org MX to 127.0.0.1")
	require.Contains(t, errs, "< example.org MX: NOERROR after")

	code, out, _ = lookup(t, "-json", "null.example")
	require.Equal(t, 1, code)
	require.NoError(t, json.Unmarshal([]byte(out), &p))
	require.Equal(t, "5.1.10", p.Error.Enhanced)
}
