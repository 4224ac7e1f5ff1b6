package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strings"

	"github.com/spf13/pflag"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// runRelay listens on addresses of the network that it is started in, and connects who comes to addresses in another
// network namespace.
func runRelay() {
	flags := pflag.NewFlagSet("relay", pflag.ExitOnError)
	namespace := flags.String("namespace", "", "path of the network namespace to connect to")
	flags.Usage = func() { fmt.Fprintln(os.Stderr, "relay --namespace=PATH LISTEN=CONNECT ...") }
	flags.Parse(os.Args[1:]) //nolint:errcheck // it exits
	if err := relay(*namespace, flags.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "relay:", err)
		os.Exit(1)
	}
}

func relay(path string, routes []string) error {
	namespace, err := os.Open(path)
	if err != nil {
		return err
	}
	var group errgroup.Group
	for _, route := range routes {
		listen, connect, _ := strings.Cut(route, "=")
		listener, err := net.Listen("tcp", listen)
		if err != nil {
			return err
		}
		group.Go(func() error {
			for {
				client, err := listener.Accept()
				if err != nil {
					return err
				}
				go forward(client, namespace, connect)
			}
		})
	}
	return group.Wait()
}

func forward(client net.Conn, namespace *os.File, address string) {
	defer client.Close()
	server, err := dialIn(namespace, address)
	if err != nil {
		fmt.Fprintln(os.Stderr, "relay:", err)
		return
	}
	defer server.Close()
	var group errgroup.Group
	for _, way := range [][2]net.Conn{{client, server}, {server, client}} {
		group.Go(func() error {
			_, err := io.Copy(way[0], way[1])
			return errors.Join(err, way[0].(*net.TCPConn).CloseWrite())
		})
	}
	_ = group.Wait() // that one side has ended is no news
}

// dialIn dials from the network namespace: a socket stays in the one that its thread was in when it was made.
func dialIn(namespace *os.File, address string) (net.Conn, error) {
	type result struct {
		connection net.Conn
		err        error
	}
	dialed := make(chan result)
	go func() {
		// The thread ends with the goroutine, since that never unlocks it: no other goroutine may find itself in the
		// namespace.
		runtime.LockOSThread()
		if err := unix.Setns(int(namespace.Fd()), unix.CLONE_NEWNET); err != nil {
			dialed <- result{err: err}
			return
		}
		connection, err := net.Dial("tcp", address)
		dialed <- result{connection, err}
	}()
	got := <-dialed
	return got.connection, got.err
}
