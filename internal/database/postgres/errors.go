package postgres

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/tenantry/tenantry/internal/database"
	"github.com/tenantry/tenantry/internal/service"
)

// SQLSTATEs of PostgreSQL that are handled here; see appendix A of its manual.
const (
	sqlstateNotSupported          = "0A000"
	sqlstateInvalidAuthorization  = "28000"
	sqlstateInvalidPassword       = "28P01"
	sqlstateDependentObjects      = "2BP01"
	sqlstateUndefinedDatabase     = "3D000"
	sqlstateUndefinedSchema       = "3F000"
	sqlstateUniqueViolation       = "23505"
	sqlstateInsufficientPrivilege = "42501"
	sqlstateUndefinedColumn       = "42703"
	sqlstateUndefinedObject       = "42704"
	sqlstateDuplicateObject       = "42710"
	sqlstateUndefinedTable        = "42P01"
	sqlstateDuplicateDatabase     = "42P04"
	sqlstateDiskFull              = "53100"
	sqlstateTooManyConnections    = "53300"
	sqlstateObjectInUse           = "55006"
	sqlstateNotAvailable          = "55000"
	sqlstateLockNotAvailable      = "55P03"
	sqlstateAdminShutdown         = "57P01"
	sqlstateCrashShutdown         = "57P02"
	sqlstateCannotConnectNow      = "57P03"
	sqlstateDatabaseDropped       = "57P04"
	sqlstateUndefinedFile         = "58P01"
	sqlstateInternal              = "XX000"
)

// SQLSTATEs that our own statements raise.
const (
	sqlstateFull    = "TN001"
	sqlstateChanged = "TN002"
	// sqlstateConflict has a detail that says what conflicts and what to do about it.
	sqlstateConflict = "TN003"
)

// classify turns the error of a call into one of package service or database, if one fits. ctx is the caller's
// own: its end is no failure of the server.
func (s *server) classify(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if err := ended(ctx); err != nil {
		return err
	}
	if unsuitable, ok := errors.AsType[*service.UnsuitableServerError](err); ok {
		return unsuitable
	}
	if locked, ok := errors.AsType[*database.LockedError](err); ok {
		return locked
	}
	if unfinished, ok := errors.AsType[*service.UnfinishedError](err); ok {
		return unfinished
	}
	if untrusted(err) {
		return s.unsuitable(err, "its certificate is not trusted: %v; correct spec.caSecretRef, or spec.host if that is not the name in the certificate", cause(err))
	}
	if s.lacksMaintenanceDatabase(err) {
		return s.unsuitable(err, "it has no database %q; create that, in which the registry of tenants is kept", s.address.Maintenance())
	}
	if answer, ok := errors.AsType[*pgconn.PgError](err); ok {
		return s.classifyAnswer(answer)
	}
	return s.unreachable(err)
}

func (s *server) classifyAnswer(answer *pgconn.PgError) error {
	switch answer.Code {
	case sqlstateFull:
		return full(answer)
	case sqlstateConflict:
		return &service.ConflictError{Problem: answer.Detail}
	case sqlstateLockNotAvailable:
		return &database.LockedError{Server: s.address.Name, Err: answer}
	case sqlstateInvalidAuthorization, sqlstateInvalidPassword:
		return &service.AuthenticationError{Engine: database.Engine, Server: s.address.Name, Username: s.address.Username, Err: answer}
	case sqlstateTooManyConnections, sqlstateAdminShutdown, sqlstateCrashShutdown, sqlstateCannotConnectNow:
		return s.unreachable(answer)
	case sqlstateUniqueViolation, sqlstateDuplicateObject, sqlstateDuplicateDatabase, // somebody made it first
		sqlstateUndefinedObject, sqlstateUndefinedDatabase, sqlstateDatabaseDropped, // somebody dropped it first
		sqlstateNotAvailable, // the database's drop was interrupted
		sqlstateChanged:
		return &service.ChangedError{Engine: database.Engine, Err: answer}
	case sqlstateInternal:
		if strings.HasPrefix(answer.Message, "tuple concurrently ") { // updated, or deleted
			return &service.ChangedError{Engine: database.Engine, Err: answer}
		}
	case sqlstateInsufficientPrivilege:
		return s.unsuitable(answer, "its administrator %q lacks a right: %v; make it a superuser", s.address.Username, answer)
	case sqlstateDiskFull:
		return s.unsuitable(answer, "its disk is full: %v; make room", answer)
	case sqlstateObjectInUse, sqlstateDependentObjects:
		return fmt.Errorf("database server %s can't drop what the tenant had: %w (%s); end or drop what is named there", s.address.Name, answer, answer.Detail)
	}
	return fmt.Errorf("database server %s refuses: %w", s.address.Name, answer)
}

// ended returns why the context has ended. The network may notice a deadline before the context does.
func ended(ctx context.Context) error {
	if deadline, ok := ctx.Deadline(); ok && !time.Now().Before(deadline) {
		return context.DeadlineExceeded
	}
	return ctx.Err()
}

func untrusted(err error) bool {
	_, verifyFull := errors.AsType[*tls.CertificateVerificationError](err)
	_, verifyCA := errors.AsType[x509.UnknownAuthorityError](err)
	return verifyFull || verifyCA
}

func (s *server) lacksMaintenanceDatabase(err error) bool {
	connect, ok := errors.AsType[*pgconn.ConnectError](err)
	return ok && connect.Config.Database == s.address.Maintenance() && hasCode(err, sqlstateUndefinedDatabase)
}

func full(answer *pgconn.PgError) error {
	tenants, err := strconv.Atoi(answer.Detail)
	capacity, errCapacity := strconv.Atoi(answer.Hint)
	if err := errors.Join(err, errCapacity); err != nil {
		return fmt.Errorf("the database server is full, but does not say how full: %w", err)
	}
	return &service.FullError{Engine: database.Engine, Tenants: tenants, Capacity: capacity}
}

func (s *server) unreachable(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		err = errors.New("no answer in time")
	}
	return &service.UnreachableError{Engine: database.Engine, Server: s.address.Name, Address: s.address.Address(), Err: cause(err)}
}

// cause returns the error without the configuration of the connection, which has the password.
func cause(err error) error {
	if connect, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return connect.Unwrap()
	}
	return err
}

func (s *server) unsuitable(err error, format string, args ...any) error {
	return &service.UnsuitableServerError{Engine: database.Engine, Server: s.address.Name, Problem: fmt.Sprintf(format, args...), Err: cause(err)}
}

// notHardened reports whether the registry, or a part of it, is missing.
func notHardened(err error) bool {
	return hasCode(err, sqlstateUndefinedTable) || hasCode(err, sqlstateUndefinedColumn) || hasCode(err, sqlstateUndefinedSchema)
}
