// Command smtpidle tells what memory SMTP servers take for a connection that has nothing to say. It starts each server as a process of its own, opens
// connections that say EHLO and, if asked to, send a message, leaves them alone for a second, collects garbage, and prints what the process has grown by:
// resident memory, and what the Go heap and the goroutines' stacks hold. What the kernel keeps for the sockets is in neither.
//
//	go run ./cmd/smtpidle                      # 10,000 connections
//	go run ./cmd/smtpidle -messages 1          # that have sent a message each
//	go run ./cmd/smtpidle -connections 2000 -servers mailroom
//
// It needs as many open files as connections in each of the two processes, and raises the limit where it may. It reads /proc, so it runs on Linux only.
package main

import (
	"bufio"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/gomailroom/mailroom/internal/bench"
)

func main() {
	connections := flag.Int("connections", 10_000, "how many")
	messages := flag.Int("messages", 0, "messages of 1 KiB that each sends before it falls silent")
	servers := flag.String("servers", "mailroom,go-smtp", "which servers")
	child := flag.String("serve", "", "be this server on a free port of 127.0.0.1, print the address, and for each line of input print octets of memory: resident, heap, stacks")
	flag.Parse()
	run := func() error { return compare(strings.Split(*servers, ","), *connections, *messages) }
	if *child != "" {
		run = func() error { return serve(*child) }
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "smtpidle:", err)
		os.Exit(1)
	}
}

func compare(servers []string, connections, messages int) error {
	if err := allowFiles(connections + 100); err != nil {
		return err
	}
	fmt.Printf("Memory of the server for each of %d idle connections, which have sent %d messages each, in KiB.\n\n", connections, messages)
	fmt.Print("| server | resident | heap and stacks | heap | stacks |\n|---|---:|---:|---:|---:|\n")
	for _, s := range servers {
		m, err := measure(s, connections, messages)
		if err != nil {
			return fmt.Errorf("%s: %w", s, err)
		}
		each := func(octets int64) float64 { return float64(octets) / 1024 / float64(connections) }
		fmt.Printf("| %s | %.2f | %.2f | %.2f | %.2f |\n", s, each(m.resident), each(m.heap+m.stacks), each(m.heap), each(m.stacks))
	}
	return nil
}

// allowFiles raises the limit of open files, which child processes inherit.
func allowFiles(n int) error {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil || l.Cur >= uint64(n) {
		return err
	}
	if l.Cur, l.Max = uint64(n), max(l.Max, uint64(n)); syscall.Setrlimit(syscall.RLIMIT_NOFILE, &l) != nil {
		return fmt.Errorf("%d open files are needed and not allowed: run ulimit -n %d as root before, or use fewer -connections", n, n)
	}
	return nil
}

// memory of a process, in octets.
type memory struct{ resident, heap, stacks int64 }

func serve(name string) error {
	sink, ok := bench.Sinks[name]
	if !ok {
		return fmt.Errorf("no server %q", name)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	go sink(l)
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		m, err := now()
		if err != nil {
			return err
		}
		fmt.Println(m.resident, m.heap, m.stacks)
	}
	return nil
}

// now is the memory of this process, without garbage.
func now() (memory, error) {
	runtime.GC() // pools give up what they hold in two turns
	debug.FreeOSMemory()
	var pages, resident int64
	statm, err := os.ReadFile("/proc/self/statm")
	if err == nil {
		_, err = fmt.Sscan(string(statm), &pages, &resident)
	}
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return memory{resident * int64(os.Getpagesize()), int64(s.HeapInuse), int64(s.StackInuse)}, err
}

// measure gives what a server grows by.
func measure(server string, connections, messages int) (memory, error) {
	self, err := os.Executable()
	if err != nil {
		return memory{}, err
	}
	p := exec.Command(self, "-serve", server)
	p.Stderr = os.Stderr
	in, err := p.StdinPipe()
	if err != nil {
		return memory{}, err
	}
	pipe, err := p.StdoutPipe()
	if err != nil {
		return memory{}, err
	}
	if err := p.Start(); err != nil {
		return memory{}, err
	}
	var open []net.Conn
	defer func() {
		p.Process.Kill() // first, so that it has no words for lost connections
		p.Wait()
		for _, c := range open {
			c.Close()
		}
	}()
	out := bufio.NewReader(pipe)
	addr, err := out.ReadString('\n')
	if err != nil {
		return memory{}, err
	}
	ask := func() (m memory, err error) {
		io.WriteString(in, "\n")
		_, err = fmt.Fscanln(out, &m.resident, &m.heap, &m.stacks)
		return m, err
	}
	before, err := ask()
	for range connections {
		if err != nil {
			return memory{}, err
		}
		var c net.Conn
		if c, err = connect(strings.TrimSpace(addr), messages); err == nil {
			open = append(open, c)
		}
	}
	time.Sleep(time.Second) // for the server to see that they are idle
	after, err := ask()
	return memory{after.resident - before.resident, after.heap - before.heap, after.stacks - before.stacks}, err
}

var message = append(bench.ASCII(1<<10), ".\r\n"...)

// connect opens a connection that will be silent.
func connect(addr string, messages int) (net.Conn, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	err = say(c, nil)
	if err == nil {
		err = say(c, []byte("EHLO client.example\r\n"))
	}
	for range messages {
		for _, s := range [][]byte{[]byte("MAIL FROM:<a@example.org>\r\n"), []byte("RCPT TO:<b@example.org>\r\n"), []byte("DATA\r\n"), message} {
			if err == nil {
				err = say(c, s)
			}
		}
	}
	if err != nil {
		c.Close()
	}
	return c, err
}

// say sends something and reads the reply, which on loopback comes in one piece.
func say(c net.Conn, text []byte) error {
	if _, err := c.Write(text); err != nil {
		return err
	}
	reply := make([]byte, 1024)
	n, err := c.Read(reply)
	if err == nil && !bytes.ContainsAny(reply[:1], "23") {
		err = errors.New("unexpected reply: " + string(reply[:n]))
	}
	return err
}
