// Command peer is the container of the specs that connect pods to each other: "peer serve" answers on port 8080, and
// "peer dial ADDRESS ..." tries to connect to each address, all at the same time, and prints a line for each: "reached" or
// why not. "peer listen" and "peer probe" are for TCP and UDP,
// "peer watch" connects again and again from its first moment on, and "peer sleep" does nothing.
package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

// patience is how long a connection may take. Packets that are dropped are not answered at all.
const patience = 2 * time.Second

func main() {
	switch os.Args[1] {
	case "serve":
		fmt.Println(http.ListenAndServe(":8080", http.HandlerFunc(greet)))
		os.Exit(1)
	case "dial":
		dial(os.Args[2:])
	case "listen":
		listen(os.Args[2:])
	case "probe":
		probe(os.Args[2:])
	case "watch":
		watch(os.Args[2:])
	default:
		stay()
	}
}

// stay waits until the pod is ended. Without a signal to wait for, Go ends a program in which nothing else happens.
func stay() {
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM)
	<-ended
}

func greet(response http.ResponseWriter, _ *http.Request) {
	name, _ := os.Hostname()
	fmt.Fprintf(response, "This is %s.\n", name)
}

func dial(addresses []string) {
	lines := make([]string, len(addresses))
	var group sync.WaitGroup
	for number, address := range addresses {
		group.Go(func() {
			lines[number] = address + " reached"
			connection, err := net.DialTimeout("tcp", address, patience)
			if err != nil {
				lines[number] = fmt.Sprintf("%s %v", address, err)
				return
			}
			connection.Close()
		})
	}
	group.Wait()
	for _, line := range lines {
		fmt.Println(line)
	}
}
