package postgres

import (
	"context"
	"sync"

	"github.com/tenantry/tenantry/internal/database"
	"github.com/tenantry/tenantry/internal/service"
)

// Servers has the connections to database servers, by the name of the server. The zero value is ready to use, and
// all methods may be called concurrently.
//
// While a server is known to be down, Observe and Execute fail at once; Probe always tries and
// ends that state when it succeeds.
type Servers struct {
	mu      sync.Mutex
	servers map[string]*server
	closing sync.WaitGroup
}

// server returns the connections to a server, and opens new ones if its address or login has changed. They stay
// open until the caller calls users.Done.
func (s *Servers) server(ctx context.Context, address database.Server) (*server, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	current := s.servers[address.Name]
	if current != nil && current.address == address {
		current.users.Add(1)
		return current, nil
	}
	replacement, err := newServer(ctx, address)
	if err != nil {
		return nil, err
	}
	if s.servers == nil {
		s.servers = map[string]*server{}
	}
	s.servers[address.Name] = replacement
	s.retire(current)
	replacement.users.Add(1)
	return replacement, nil
}

// Forget closes the connections to a server once they are unused. The next call for the server opens new ones.
func (s *Servers) Forget(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.retire(s.servers[name])
	delete(s.servers, name)
}

// Close closes all connections and returns when they are closed. It waits for running calls.
func (s *Servers) Close() {
	s.mu.Lock()
	for name, current := range s.servers {
		s.retire(current)
		delete(s.servers, name)
	}
	s.mu.Unlock()
	s.closing.Wait()
}

// retire closes connections that nobody can get any more, once their last user is done.
func (s *Servers) retire(old *server) {
	if old == nil {
		return
	}
	s.closing.Go(func() {
		old.users.Wait()
		old.close()
	})
}

// Probe returns what the server reports, and prepares it for tenants if it isn't prepared: it creates the registry
// and the role that owns the tenants' databases, and revokes the rights of PUBLIC on the databases that every
// server has. For a prepared server it needs one round trip. It has the server write a temporary file, so that it
// learns whether the disk is full.
//
// Its errors are [service.UnreachableError], [service.AuthenticationError] and
// [service.UnsuitableServerError].
func (s *Servers) Probe(ctx context.Context, address database.Server) (database.ServerStatus, error) {
	server, err := s.server(ctx, address)
	if err != nil {
		return database.ServerStatus{}, err
	}
	defer server.users.Done()
	var status database.ServerStatus
	err = server.read(ctx, func(ctx context.Context, conn *conn) error {
		status, err = probe(ctx, conn)
		return err
	})
	server.breaker.Record(err)
	return status, err
}

// Share prepares the shared databases, if they aren't prepared, and returns their state. For prepared ones it
// needs one round trip each and one for all. The server must have been probed. In addition to the errors of Probe
// it returns a [database.LockedError], which doesn't mean that anything is wrong with the server.
func (s *Servers) Share(ctx context.Context, address database.Server, sharing database.Sharing) (database.SharingStatus, error) {
	server, err := s.server(ctx, address)
	if err != nil {
		return database.SharingStatus{}, err
	}
	defer server.users.Done()
	status, err := server.share(ctx, sharing)
	server.breaker.Trip(err)
	return status, err
}

// Registered returns the tenants of the operator's own cluster that use the server.
func (s *Servers) Registered(ctx context.Context, address database.Server) ([]service.Registration, error) {
	server, err := s.server(ctx, address)
	if err != nil {
		return nil, err
	}
	defer server.users.Done()
	var found []service.Registration
	err = server.read(ctx, func(ctx context.Context, conn *conn) error {
		found, err = readRegistered(ctx, conn)
		return err
	})
	return found, err
}

// Accept accepts the states of tenants that Probe has reported as changed. Probe reports them again if they have
// changed since.
func (s *Servers) Accept(ctx context.Context, address database.Server, drifts []service.Drift) error {
	if len(drifts) == 0 {
		return nil
	}
	server, err := s.server(ctx, address)
	if err != nil {
		return err
	}
	defer server.users.Done()
	return server.read(ctx, func(ctx context.Context, conn *conn) error { return accept(ctx, conn, drifts) })
}

// Reload makes the server reload its configuration and certificate, which may happen after the call has returned.
// All connections are replaced, so that a later Probe sees the new certificate.
func (s *Servers) Reload(ctx context.Context, address database.Server) error {
	server, err := s.server(ctx, address)
	if err != nil {
		return err
	}
	defer server.users.Done()
	err = server.read(ctx, func(ctx context.Context, conn *conn) error {
		_, err := conn.Exec(ctx, "SELECT pg_reload_conf()")
		return err
	})
	server.pool.Reset()
	return err
}

// Observe returns what the server has for the tenant with the UID, under its registered name or else under the
// given one, in one round trip. It returns the errors of Probe.
func (s *Servers) Observe(ctx context.Context, address database.Server, uid, name string) (database.Observed, error) {
	server, err := s.server(ctx, address)
	if err != nil {
		return database.Observed{}, err
	}
	defer server.users.Done()
	if err := server.breaker.Err(); err != nil {
		return database.Observed{}, err
	}
	var observed database.Observed
	err = server.read(ctx, func(ctx context.Context, conn *conn) error {
		observed, err = observe(ctx, conn, uid, name)
		return err
	})
	server.breaker.Trip(err)
	return observed, err
}

// Execute executes the actions in order and stops at the first that fails. In addition to the errors of Probe it
// returns a [service.FullError], a [database.LockedError] if somebody else holds a lock that it needs, a
// [service.UnfinishedError] if there is more to remove than one call removes, and a [service.ChangedError] if the
// server has changed since it was observed. Whatever the error, observe and plan again to continue.
func (s *Servers) Execute(ctx context.Context, address database.Server, actions []database.Action) error {
	if len(actions) == 0 {
		return nil
	}
	server, err := s.server(ctx, address)
	if err != nil {
		return err
	}
	defer server.users.Done()
	if err := server.breaker.Err(); err != nil {
		return err
	}
	err = server.execute(ctx, actions)
	server.breaker.Trip(err)
	return err
}
