package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"time"
)

// probePatience is how long a connection of "peer probe" may take. All of a matrix start at the same time.
const probePatience = 5 * time.Second

// listen answers on the addresses, by TCP and by UDP, and prints "listening" once it does.
func listen(ctx context.Context, addresses []string) {
	for _, address := range addresses {
		listener, err := net.Listen("tcp", address)
		exitOn(err)
		go accept(listener)
		packets, err := net.ListenPacket("udp", address)
		exitOn(err)
		go echo(packets)
	}
	fmt.Println("listening")
	<-ctx.Done()
}

// accept sends back what it gets on each connection.
func accept(listener net.Listener) {
	for {
		connection, err := listener.Accept()
		exitOn(err)
		go func() {
			defer connection.Close()
			buffer := make([]byte, 64)
			for {
				n, err := connection.Read(buffer)
				if err != nil {
					return
				}
				connection.Write(buffer[:n]) //nolint:errcheck // The next Read fails, too.
			}
		}()
	}
}

func echo(packets net.PacketConn) {
	buffer := make([]byte, 64)
	for {
		n, from, err := packets.ReadFrom(buffer)
		exitOn(err)
		packets.WriteTo(buffer[:n], from) //nolint:errcheck // Whoever sent it may be gone.
	}
}

// probe connects to each address:port/protocol, all at the same time, from the address --from if it is given. It
// prints a line for each: "reached", "silent" if no answer has come at all, or why not.
func probe(args []string) {
	flags := flag.NewFlagSet("probe", flag.ExitOnError)
	from := flags.String("from", "", "address to connect from")
	flags.Parse(args) //nolint:errcheck // it exits
	results := make([]string, flags.NArg())
	var group sync.WaitGroup
	for number, target := range flags.Args() {
		group.Go(func() { results[number] = outcome(attempt(net.ParseIP(*from), target)) })
	}
	group.Wait()
	for number, target := range flags.Args() {
		fmt.Println(target, results[number])
	}
}

func outcome(err error) string {
	var timeout net.Error
	switch {
	case err == nil:
		return "reached"
	case errors.As(err, &timeout) && timeout.Timeout():
		return "silent"
	default:
		return err.Error()
	}
}

// attempt makes one connection, or sends one packet and waits for the answer.
func attempt(from net.IP, target string) error {
	address, protocol, _ := strings.Cut(target, "/")
	dialer := net.Dialer{Timeout: probePatience}
	if protocol == "TCP" {
		if from != nil {
			dialer.LocalAddr = &net.TCPAddr{IP: from}
		}
		connection, err := dialer.Dial("tcp", address)
		if err != nil {
			return err
		}
		return connection.Close()
	}
	if from != nil {
		dialer.LocalAddr = &net.UDPAddr{IP: from}
	}
	connection, err := dialer.Dial("udp", address)
	if err != nil {
		return err
	}
	defer connection.Close()
	if err := connection.SetDeadline(time.Now().Add(probePatience)); err != nil {
		return err
	}
	if _, err := connection.Write([]byte("ping")); err != nil {
		return err
	}
	_, err = connection.Read(make([]byte, 64))
	return err
}

func exitOn(err error) {
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}
