// Package freeport finds ports for the servers of the local environment.
package freeport

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

const (
	loopback = "127.0.0.1"
	lowest   = 20000
	highest  = 32767
	attempts = 1000
)

// Find returns different ports on which nothing listens at the loopback address. They lie below the
// range from which Linux takes the local ports of outgoing connections, so nothing but another
// server can take one before its own server listens, or while that is down for a moment.
func Find(count int) (ports []int, err error) {
	var held []net.Listener
	defer func() {
		for _, listener := range held {
			err = errors.Join(err, listener.Close())
		}
	}()
	for range attempts {
		if len(ports) == count {
			return ports, nil
		}
		port := lowest + rand.IntN(highest-lowest+1)
		if listener, err := net.Listen("tcp", net.JoinHostPort(loopback, strconv.Itoa(port))); err == nil {
			held = append(held, listener)
			ports = append(ports, port)
		}
	}
	return nil, fmt.Errorf("only %d of %d free ports were found between %d and %d; end what listens there",
		len(ports), count, lowest, highest)
}
