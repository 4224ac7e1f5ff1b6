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

	// variable holds the number of a lane; each has laneSize ports of its own.
	variable = "TENANTRY_PORT_LANE"
	laneSize = 600
)

// Environment is a variable of the environment by which Find, in a process that has it, returns ports
// that it returns in no process with another lane, a number from zero. A server that is down for a moment
// thus finds its port free again.
func Environment(lane int) string { return fmt.Sprintf("%s=%d", variable, lane) }

// Shift makes Find, in this process, return ports of the lane that is so many after its own. Processes that share
// an environment thus get ports of their own.
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

// Find returns different ports on which nothing listens at the loopback address. They lie below the
// range from which Linux takes the local ports of outgoing connections, so nothing but another
// server can take one before its own server listens, or while that is down for a moment.
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
