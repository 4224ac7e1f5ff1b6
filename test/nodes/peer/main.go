// Command peer is the container of specs:
//
//	peer serve            answers on port 8080, and finishes what it has begun when it is asked to end
//	peer dial ADDRESS ... tries to connect to all addresses at once, and prints "ADDRESS reached" or why not
//	peer get URL          sends a request, and prints the answer, or why there is none
//	peer ask URL PAUSE    sends requests until its input ends, and prints how many, and which failed; with a further
//	                      argument it posts that as JSON, with the number of the request in place of each #
//	peer listen, probe    are for TCP and UDP: see probe.go
//	peer watch            connects again and again from its first moment on: see watch.go
//	peer token, call      are for the API server: see call.go
//	peer escape           tries to get out of its container, and prints in which ways it could
//	peer keep FILE LINE   adds a line to a file, and prints the file
//	peer eat              allocates memory for ever
//	peer sleep            does nothing
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// patience is how long a connection may take, with finding the address, on a machine that is busy. Packets that
	// are dropped are not answered at all.
	patience = 10 * time.Second
	// answerLimit is how long an answer may take.
	answerLimit = 30 * time.Second
)

// commands are what the program can do. With another one, it waits until it is ended.
var commands = map[string]func(ctx context.Context, arguments []string){
	"serve":  func(ctx context.Context, _ []string) { serve(ctx) },
	"dial":   func(_ context.Context, arguments []string) { dial(arguments) },
	"get":    func(_ context.Context, arguments []string) { show(arguments[0]) },
	"ask":    func(_ context.Context, arguments []string) { ask(arguments[0], arguments[1], arguments[2:]) },
	"listen": listen,
	"probe":  func(_ context.Context, arguments []string) { probe(arguments) },
	"watch":  watch,
	"token":  func(context.Context, []string) { token() },
	"call":   func(_ context.Context, arguments []string) { call(arguments) },
	"escape": func(context.Context, []string) { escape() },
	"keep":   func(_ context.Context, arguments []string) { keep(arguments[0], arguments[1]) },
	"eat":    func(context.Context, []string) { eat() },
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if command, known := commands[os.Args[1]]; known {
		command(ctx, os.Args[2:])
		return
	}
	<-ctx.Done()
}

// show prints what answers to a request.
func show(url string) {
	answer, err := answerOf(http.DefaultClient.Get(url))
	if err != nil {
		panic(err)
	}
	fmt.Println(answer)
}

func serve(ctx context.Context) {
	server := &http.Server{Addr: ":8080", Handler: http.HandlerFunc(greet), ReadHeaderTimeout: answerLimit}
	go func() { fmt.Println(server.ListenAndServe()) }()
	<-ctx.Done()
	fmt.Println(server.Shutdown(context.WithoutCancel(ctx)))
}

// greet tells the pod's name, and what it finds at the path in its environment.
func greet(response http.ResponseWriter, request *http.Request) {
	name, _ := os.Hostname()
	fmt.Fprintf(response, "This is %s, user %d, group %d. %s\n", name, os.Getuid(), os.Getgid(), os.Getenv(request.URL.Path[1:]))
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

// ask makes a connection for each request, as clients do that come from everywhere.
func ask(url, every string, content []string) {
	pause, err := time.ParseDuration(every)
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // whatever ends the input
		cancel()
	}()
	client := &http.Client{Timeout: answerLimit, Transport: &http.Transport{DisableKeepAlives: true}}
	asked, failed, tick := 0, 0, time.Tick(pause)
	for ; ctx.Err() == nil; asked++ {
		<-tick
		var err error
		if len(content) == 0 {
			_, err = answerOf(client.Get(url))
		} else {
			body := strings.NewReader(strings.ReplaceAll(content[0], "#", strconv.Itoa(asked)))
			_, err = answerOf(client.Post(url, "application/json", body))
		}
		if err != nil {
			failed++
			fmt.Printf("%s: %v\n", time.Now().Format(time.TimeOnly), err)
		}
	}
	fmt.Printf("asked %d, failed %d\n", asked, failed)
}

// answerOf returns the answer to a request. One that tells of an error is an error.
func answerOf(response *http.Response, err error) (string, error) {
	if err != nil {
		return "", err
	}
	content, err := io.ReadAll(response.Body)
	response.Body.Close()
	if err == nil && response.StatusCode != http.StatusOK && response.StatusCode != http.StatusCreated {
		err = fmt.Errorf("%s: %s", response.Status, content)
	}
	return strings.TrimSpace(string(content)), err
}

func keep(path, line string) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	exitOn(err)
	_, err = fmt.Fprintln(file, line)
	exitOn(errors.Join(err, file.Close()))
	content, err := os.ReadFile(path)
	exitOn(err)
	fmt.Print(string(content))
}

func eat() {
	eaten := []byte{1}
	for {
		eaten = append(eaten, eaten...)
	}
}
