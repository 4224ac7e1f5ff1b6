package service

import "time"

// Rotation says when a tenant gets a new password.
type Rotation struct {
	// Interval is the time between two rotations; zero for no schedule.
	Interval time.Duration
	// GracePeriod is how long the former login accepts new sessions after a rotation.
	GracePeriod time.Duration
	// FormerInUse says that something of the tenant's still runs with the former login. That login then accepts new
	// sessions for as long again as the GracePeriod.
	FormerInUse bool
	// Request asks for a rotation if it differs from the one in the Credentials; empty asks for none.
	Request string
}

// New returns the first credentials of a tenant.
func (r Rotation) New(now time.Time) Credentials {
	return Credentials{Password: Sensitive(GeneratePassword()), RotatedAt: now, Request: r.Request}
}

// DueAt returns when the next scheduled rotation is due; zero if there is none.
func (r Rotation) DueAt(c Credentials) time.Time {
	if r.Interval == 0 {
		return time.Time{}
	}
	return c.RotatedAt.Add(r.Interval)
}

// requested reports whether somebody asks for a rotation.
func (r Rotation) requested(c Credentials) bool { return r.Request != "" && r.Request != c.Request }

// Start returns the credentials with a next password, if a rotation is due. It waits until the grace period of the
// former login is over, since the rotation reuses that login.
func (r Rotation) Start(c Credentials, now time.Time) Credentials {
	due := r.DueAt(c)
	wanted := r.requested(c) || !due.IsZero() && !now.Before(due)
	if c.Next == "" && wanted && !now.Before(c.FormerUntil) {
		c.Next = Sensitive(GeneratePassword())
	}
	return c
}

// Check compares the credentials with what the server has, and returns them. If others have changed the password
// on the server, they get a next password.
func (r Rotation) Check(c Credentials, logins Logins) Credentials {
	if c.Next == "" && logins.Exists(c.Active) && !logins.Accepts(c.Active, c.Password) {
		c.Next = Sensitive(GeneratePassword())
	}
	return c
}

// Recover returns the credentials if the Secret doesn't match the record. Either the Secret is newer, because a
// rotation was interrupted before it could be recorded, or somebody has changed or deleted it; the server shows
// which. If the password doesn't work, the other login gets a new one, so that the running app isn't locked out.
func (r Rotation) Recover(stored, recorded Credentials, logins Logins) Credentials {
	for _, login := range []int{stored.Active, stored.Standby()} {
		if !stored.opens(logins, login) {
			continue
		}
		if stored.Active = login; login == recorded.Active {
			stored.RotatedAt, stored.Request = recorded.RotatedAt, recorded.Request
		}
		return r.WithFormer(stored, logins)
	}
	recorded.Password, recorded.Next = "", stored.Next
	if recorded.Next == "" {
		recorded.Next = Sensitive(GeneratePassword())
	}
	return recorded
}

// WithFormer returns credentials without a record. If the other login is enabled, it becomes the former one.
func (r Rotation) WithFormer(c Credentials, logins Logins) Credentials {
	if logins.Enabled(c.Standby()) && c.Next == "" {
		c.FormerUntil = c.RotatedAt.Add(r.GracePeriod)
	}
	return c
}

// Complete returns the credentials after a rotation: the server has the next password.
func (r Rotation) Complete(c Credentials, now time.Time) Credentials {
	return Credentials{
		Active: c.Standby(), Password: c.Next, RotatedAt: now, Request: r.Request, FormerUntil: now.Add(r.GracePeriod),
	}
}

// NextLook returns when something must be done about the credentials, if nothing else happens; zero if never.
func (r Rotation) NextLook(c Credentials) time.Time {
	switch {
	case !c.FormerUntil.IsZero():
		return c.FormerUntil
	case r.requested(c):
		return c.RotatedAt
	default:
		return r.DueAt(c)
	}
}
