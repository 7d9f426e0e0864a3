// Command smtpload compares what a message costs SMTP servers. It starts each server as a process of its own, has Postfix's smtp-source send messages over
// 20 sessions, with and without connecting anew for each message, and prints the processor time of the server for one message and its ratio.
//
//	go run ./cmd/smtpload                         # all cases, best of three rounds
//	go run ./cmd/smtpload -rounds 30 -divide 10   # many short rounds, for a machine that has other work too
//	go run ./cmd/smtpload -rounds 1 -size 1024
//	go run ./cmd/smtpload -rounds 1 -size 1024 -servers mailroom -cpuprofile /tmp/smtp.prof
//
// Postfix's programs are in Debian's package postfix; no daemon has to run.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/gomailroom/mailroom/internal/bench"
)

var all = []string{"mailroom", "go-smtp", "smtp-sink"}

// cases are the sizes of messages and how many of each are sent.
var cases = []struct{ size, count int }{{1 << 10, 20_000}, {4 << 10, 15_000}, {64 << 10, 4_000}, {1 << 20, 400}}

const sessions = 20

func main() {
	rounds := flag.Int("rounds", 3, "how often each case is run; the least processor time counts")
	only := flag.Int("size", 0, "only messages of so many octets")
	connections := flag.String("connections", "", "only this way: new (one a message) or reused")
	divide := flag.Int("divide", 1, "send that many times fewer messages")
	servers := flag.String("servers", strings.Join(all, ","), "which servers; the others are compared with the first")
	profile := flag.String("cpuprofile", "", "write a profile of the first server's last run to this file")
	child := flag.String("serve", "", "be this server (mailroom or go-smtp) on a free port of 127.0.0.1, and print the address")
	flag.Parse()
	c := comparison{rounds: *rounds, only: *only, connections: *connections, divide: *divide, servers: strings.Split(*servers, ","), profile: *profile}
	run := c.run
	if *child != "" {
		run = func() error { return serve(*child, *profile) }
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "smtpload:", err)
		os.Exit(1)
	}
}

// comparison is what is asked for.
type comparison struct {
	rounds, only, divide int
	connections          string
	servers              []string
	profile              string
	source               string // path of smtp-source
}

func serve(name, profile string) error {
	sink, ok := bench.Sinks[name]
	if !ok {
		return fmt.Errorf("no server %q", name)
	}
	l, err := (&net.ListenConfig{KeepAlive: -1}).Listen(context.Background(), "tcp", "127.0.0.1:0") // smtp-sink has no keep-alive either
	if err != nil {
		return err
	}
	if profile != "" {
		f, err := os.Create(profile)
		if err != nil {
			return err
		}
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		end := make(chan os.Signal, 1)
		signal.Notify(end, syscall.SIGTERM)
		go func() {
			<-end
			pprof.StopCPUProfile()
			os.Exit(0)
		}()
	}
	fmt.Println(l.Addr())
	return sink(l)
}

// program finds one of Postfix's programs, which many put outside of PATH.
func program(name string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	return exec.LookPath("/usr/sbin/" + name)
}

// cost is the least that a case took in any round.
type cost struct {
	start time.Duration // processor time to start and to serve the first sessions
	cpu   time.Duration // for the messages as well
	wall  time.Duration // of that
	count int
}

func (c cost) message() time.Duration { return max(c.cpu-c.start, 1) / time.Duration(c.count) }
func (c cost) rate() float64          { return float64(c.count) / c.wall.Seconds() }

func (c *comparison) run() error {
	var err error
	if c.source, err = program("smtp-source"); err != nil {
		return fmt.Errorf("smtp-source is missing (Debian: apt-get install --no-install-recommends postfix): %w", err)
	}
	if _, err := program("smtp-sink"); err != nil {
		fmt.Println("smtp-sink is missing and left out:", err)
		c.servers = slices.DeleteFunc(c.servers, func(s string) bool { return s == "smtp-sink" })
	}
	fmt.Printf("Processor time of the server for a message in microseconds, and messages a second (one smtp-source with %d sessions).\n\n", sessions)
	fmt.Print("| message | connections |")
	for _, s := range c.servers {
		fmt.Printf(" %s us | msg/s |", s)
	}
	for _, s := range c.servers[1:] {
		fmt.Printf(" %s / %s |", c.servers[0], s)
	}
	fmt.Printf("\n|---|---|%s\n", strings.Repeat("---:|", 3*len(c.servers)-1))
	for _, k := range cases {
		if c.only != 0 && k.size != c.only {
			continue
		}
		for _, reuse := range []bool{false, true} {
			if c.connections != "" && reuse != (c.connections == "reused") {
				continue
			}
			best := make(map[string]cost)
			count := max(sessions, k.count/c.divide)
			for range c.rounds { // in turns, so that a noisy minute does not hit one server alone
				for _, s := range c.servers {
					got, err := c.measure(s, k.size, count, reuse)
					if err != nil {
						return fmt.Errorf("%s: %w", s, err)
					}
					if old, ok := best[s]; ok {
						got.start, got.cpu, got.wall = min(got.start, old.start), min(got.cpu, old.cpu), min(got.wall, old.wall)
					}
					best[s] = got
				}
			}
			report(c.servers, best, k.size, reuse)
		}
	}
	return nil
}

func report(measured []string, best map[string]cost, size int, reuse bool) {
	kind := "one a message"
	if reuse {
		kind = "reused"
	}
	fmt.Printf("| %d KiB | %s |", size>>10, kind)
	for _, s := range measured {
		fmt.Printf(" %.1f | %.0f |", float64(best[s].message().Nanoseconds())/1e3, best[s].rate())
	}
	for _, s := range measured[1:] {
		fmt.Printf(" %.2f |", float64(best[measured[0]].message())/float64(best[s].message()))
	}
	fmt.Println()
}

// measure runs a server twice: for its first sessions, and for count messages more.
func (c *comparison) measure(server string, size, count int, reuse bool) (cost, error) {
	start, _, err := c.load(server, size, sessions, reuse)
	if err != nil {
		return cost{}, err
	}
	cpu, wall, err := c.load(server, size, sessions+count, reuse)
	return cost{start, cpu, wall, count}, err
}

func (c *comparison) load(server string, size, count int, reuse bool) (cpu, wall time.Duration, err error) {
	p, addr, err := c.start(server)
	if err != nil {
		return 0, 0, err
	}
	args := []string{"-s", strconv.Itoa(sessions), "-l", strconv.Itoa(size), "-m", strconv.Itoa(count), "-f", "a@example.org", "-t", "b@example.org"}
	if reuse {
		args = append(args, "-d")
	}
	began := time.Now()
	out, err := exec.Command(c.source, append(args, addr)...).CombinedOutput()
	wall = time.Since(began)
	if err != nil {
		err = fmt.Errorf("smtp-source: %w: %s", err, out)
	}
	p.Process.Signal(syscall.SIGTERM)
	p.Wait() // it was killed: only its processor time counts
	return p.ProcessState.UserTime() + p.ProcessState.SystemTime(), wall, err
}

// start runs a server as a child and waits until it listens.
func (c *comparison) start(server string) (*exec.Cmd, string, error) {
	if server == "smtp-sink" {
		return startSink()
	}
	self, err := os.Executable()
	if err != nil {
		return nil, "", err
	}
	p := exec.Command(self, "-serve", server)
	if c.profile != "" && server == c.servers[0] {
		p.Args = append(p.Args, "-cpuprofile", c.profile)
	}
	p.Stderr = os.Stderr
	out, err := p.StdoutPipe()
	if err != nil {
		return nil, "", err
	}
	if err := p.Start(); err != nil {
		return nil, "", err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	return p, strings.TrimSpace(line), err
}

func startSink() (*exec.Cmd, string, error) {
	path, err := program("smtp-sink")
	if err != nil {
		return nil, "", err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0") // for a port that is free
	if err != nil {
		return nil, "", err
	}
	addr := l.Addr().String()
	l.Close()
	args := []string{addr, "100"}
	if os.Geteuid() == 0 { // it refuses to stay root
		args = append([]string{"-u", "nobody"}, args...)
	}
	p := exec.Command(path, args...)
	p.Stderr = os.Stderr
	if err := p.Start(); err != nil {
		return nil, "", err
	}
	for range 500 {
		if c, err := net.Dial("tcp", addr); err == nil {
			c.Close()
			return p, addr, nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	p.Process.Kill()
	p.Wait()
	return nil, "", errors.New("smtp-sink does not listen")
}
