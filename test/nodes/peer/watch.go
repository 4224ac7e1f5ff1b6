package main

import (
	"context"
	"fmt"
	"net"
	"time"
)

const (
	// watchEvery is how often "peer watch" connects anew, and watchPatience how long each connection may take. It ends
	// once none has been made for as long as quiet.
	watchEvery    = 20 * time.Millisecond
	watchPatience = 200 * time.Millisecond
	quiet         = 2 * time.Second
)

// watch connects to each address again and again, from its start on, until no connection is made any more. Then it
// prints a line for each: how many connections were made, and how many milliseconds after its start the last one was
// begun. The last line says whether the first connection to the first address is still answered.
func watch(ctx context.Context, addresses []string) {
	began := time.Now()
	kept, err := net.DialTimeout("tcp", addresses[0], watchPatience)
	lines := make(chan string)
	for _, address := range addresses {
		go func() { lines <- again(began, address) }()
	}
	for range addresses {
		fmt.Println(<-lines)
	}
	fmt.Println("kept", err == nil && answered(kept))
	<-ctx.Done()
}

func again(began time.Time, address string) string {
	last, made := time.Duration(0), 0
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for at := time.Since(began); at-last < quiet; at = time.Since(began) {
		if connection, err := net.DialTimeout("tcp", address, watchPatience); err == nil {
			last, made = at, made+1
			connection.Close()
		}
		<-tick.C
	}
	return fmt.Sprintf("%s made %d until %d", address, made, last.Milliseconds())
}

func answered(connection net.Conn) bool {
	if err := connection.SetDeadline(time.Now().Add(probePatience)); err != nil {
		return false
	}
	if _, err := connection.Write([]byte("ping")); err != nil {
		return false
	}
	_, err := connection.Read(make([]byte, 64))
	return err == nil
}
