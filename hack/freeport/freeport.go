// Package freeport finds ports for the servers of the local environment.
package freeport

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
)

const (
	loopback = "127.0.0.1"
	lowest   = 20000
	highest  = 32767
	attempts = 1000

	// variable has the number of a lane. Each lane has its own laneSize ports.
	variable = "TENANTRY_PORT_LANE"
	laneSize = 600
)

// Environment returns an environment variable, as KEY=value, for a process in which Find is to return only ports
// of a lane, a number from zero. No process with another lane gets these ports, so a server that is down for a
// moment finds its port still free.
func Environment(lane int) string { return fmt.Sprintf("%s=%d", variable, lane) }

// Shift makes Find, in this process, return ports of a later lane than the one in its environment. So processes
// that share an environment can have their own ports.
func Shift(lanes int) error {
	own, bounded := os.LookupEnv(variable)
	if !bounded {
		return nil
	}
	lane, err := strconv.Atoi(own)
	if err != nil {
		return fmt.Errorf("the variable %s is not a number: %w", variable, err)
	}
	return os.Setenv(variable, strconv.Itoa(lane+lanes))
}

// bounds returns the lowest and the highest port that Find may return.
func bounds() (low, high int) {
	lane, err := strconv.Atoi(os.Getenv(variable))
	if err != nil || lane < 0 || lowest+(lane+1)*laneSize > highest {
		return lowest, highest
	}
	return lowest + lane*laneSize, lowest + (lane+1)*laneSize - 1
}

// Find returns different ports on which nothing listens on the loopback address. They are below the range of
// ephemeral ports, so only another server can take one before its own server listens, or while that is down for a
// moment.
func Find(count int) (ports []int, err error) {
	low, high := bounds()
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
		port := low + rand.IntN(high-low+1)
		if listener, err := net.Listen("tcp", net.JoinHostPort(loopback, strconv.Itoa(port))); err == nil {
			held = append(held, listener)
			ports = append(ports, port)
		}
	}
	return nil, fmt.Errorf("only %d of %d free ports were found between %d and %d; end what listens there",
		len(ports), count, low, high)
}
