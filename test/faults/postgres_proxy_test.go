package faults

import (
	"errors"
	"io"
	"net"
	"regexp"
	"strings"
	"sync/atomic"

	"github.com/jackc/pgx/v5/pgproto3"
	. "github.com/onsi/ginkgo/v2"
	"golang.org/x/sync/errgroup"

	"github.com/tenantry/tenantry/test/environment"
)

// postgresProxy is between PostgreSQL and all its clients. A step of its fault is what the operator sends before
// it waits for an answer: a simple query, or the messages up to a Sync.
type postgresProxy struct {
	listener net.Listener
	target   string
	fault    atomic.Pointer[fault]
}

func startPostgresProxy(target string) (*postgresProxy, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	proxy := &postgresProxy{listener: listener, target: target}
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return // The listener is closed.
			}
			go func() {
				if err := proxy.serve(client); err != nil {
					GinkgoWriter.Printf("A connection to PostgreSQL ended: %v\n", err)
				}
			}()
		}
	}()
	return proxy, nil
}

func (p *postgresProxy) port() int { return p.listener.Addr().(*net.TCPAddr).Port }

func (p *postgresProxy) stop() error { return p.listener.Close() }

func (p *postgresProxy) serve(client net.Conn) error {
	defer client.Close()
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		return err
	}
	defer server.Close()
	s := &session{
		backend: pgproto3.NewBackend(client, client), frontend: pgproto3.NewFrontend(server, server), fault: &p.fault,
		prepared: map[string]string{},
	}
	startup, err := s.backend.ReceiveStartupMessage()
	if err != nil {
		return err
	}
	s.frontend.Send(startup)
	if err := s.frontend.Flush(); err != nil {
		return err
	}
	message, ok := startup.(*pgproto3.StartupMessage)
	if !ok || message.Parameters["user"] != environment.OperatorRole {
		return splice(client, server)
	}
	if err := s.authenticate(); err != nil {
		return err
	}
	return s.run()
}

// splice forwards everything in both directions until both sides have ended.
func splice(client, server net.Conn) error {
	var copying errgroup.Group
	for _, ends := range [][2]net.Conn{{client, server}, {server, client}} {
		copying.Go(func() error {
			_, err := io.Copy(ends[0], ends[1])
			return errors.Join(err, ends[0].(*net.TCPConn).CloseWrite())
		})
	}
	return copying.Wait()
}

// session is a session of the operator.
type session struct {
	backend  *pgproto3.Backend
	frontend *pgproto3.Frontend
	fault    *atomic.Pointer[fault]
	// prepared are the statements that the client has prepared, by name.
	prepared map[string]string
}

// authenticate forwards everything until the server accepts queries.
func (s *session) authenticate() error {
	for {
		message, err := s.frontend.Receive()
		if err != nil {
			return err
		}
		s.backend.Send(message)
		if err := s.backend.Flush(); err != nil {
			return err
		}
		switch message.(type) {
		case *pgproto3.ReadyForQuery:
			return nil
		case *pgproto3.AuthenticationSASL, *pgproto3.AuthenticationSASLContinue:
			if err := s.backend.SetAuthType(s.frontend.GetAuthType()); err != nil {
				return err
			}
			answer, err := s.backend.Receive()
			if err != nil {
				return err
			}
			s.frontend.Send(answer)
			if err := s.frontend.Flush(); err != nil {
				return err
			}
		}
	}
}

// run forwards steps until the client or the server closes the connection.
func (s *session) run() error {
	for {
		content, last, err := s.collect()
		if err != nil {
			return err
		}
		send := func() { err = s.frontend.Flush() }
		if last {
			send()
			return err
		}
		receive := func() { err = errors.Join(err, s.answer()) }
		armed := s.fault.Load()
		switch {
		case armed == nil:
			send()
			receive()
		case armed.pass(title(content), content, send, receive):
			return errors.Join(errStruck, err)
		}
		if err := errors.Join(err, s.backend.Flush()); err != nil {
			return err
		}
	}
}

// collect reads a step, and reports whether it is the client's last one.
func (s *session) collect() (content string, last bool, err error) {
	var texts []string
	for {
		message, err := s.backend.Receive()
		if err != nil {
			return "", false, err
		}
		s.frontend.Send(message)
		switch message := message.(type) {
		case *pgproto3.Query:
			return message.String, false, nil
		case *pgproto3.Parse:
			texts = append(texts, message.Query)
			s.prepared[message.Name] = message.Query
		case *pgproto3.Bind:
			texts = append(texts, "bind "+message.PreparedStatement)
			if strings.Contains(s.prepared[message.PreparedStatement], rounds) {
				texts = append(texts, rounds)
			}
			for _, parameter := range message.Parameters {
				texts = append(texts, string(parameter))
			}
		case *pgproto3.Sync:
			return strings.Join(texts, " "), false, nil
		case *pgproto3.Terminate:
			return "", true, nil
		}
	}
}

// answer reads the server's answer to a step. If the server closes the connection, what was read so far is kept
// for the client.
func (s *session) answer() error {
	for {
		message, err := s.frontend.Receive()
		if err != nil {
			return err
		}
		s.backend.Send(message)
		if _, ready := message.(*pgproto3.ReadyForQuery); ready {
			return nil
		}
	}
}

// literals may have SCRAM verifiers, which are different each time.
var literals = regexp.MustCompile(`'[^']*'`)

// title returns a short description of a step.
func title(content string) string {
	const words = 16
	fields := strings.Fields(literals.ReplaceAllString(content, "''"))
	return strings.Join(fields[:min(words, len(fields))], " ")
}
