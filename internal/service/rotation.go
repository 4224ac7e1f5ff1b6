package service

import "time"

// Rotation says when a tenant gets a new password.
type Rotation struct {
	// Interval is the time between two rotations; zero for no schedule.
	Interval time.Duration
	// GracePeriod is how long the former login takes new sessions after a rotation.
	GracePeriod time.Duration
	// Request asks for a rotation when it is another one than that of the Credentials; empty asks
	// for none.
	Request string
}

// New returns the first credentials of a tenant.
func (r Rotation) New(now time.Time) Credentials {
	return Credentials{Password: Sensitive(GeneratePassword()), RotatedAt: now, Request: r.Request}
}

// DueAt returns when the next rotation by the schedule is due; zero if there is none.
func (r Rotation) DueAt(c Credentials) time.Time {
	if r.Interval == 0 {
		return time.Time{}
	}
	return c.RotatedAt.Add(r.Interval)
}

// requested reports whether somebody asks for a rotation.
func (r Rotation) requested(c Credentials) bool { return r.Request != "" && r.Request != c.Request }

// Start returns the credentials with the password that comes next, if it is time for one. A
// rotation takes the former login, and who still uses that must have had the time to move on.
func (r Rotation) Start(c Credentials, now time.Time) Credentials {
	due := r.DueAt(c)
	wanted := r.requested(c) || !due.IsZero() && !now.Before(due)
	if c.Next == "" && wanted && !now.Before(c.FormerUntil) {
		c.Next = Sensitive(GeneratePassword())
	}
	return c
}

// Check returns the credentials in the light of what the server has. Where its password was changed
// by others, it is followed by a new one.
func (r Rotation) Check(c Credentials, logins Logins) Credentials {
	if c.Next == "" && logins.Exists(c.Active) && !logins.Accepts(c.Active, c.Password) {
		c.Next = Sensitive(GeneratePassword())
	}
	return c
}

// Recover returns what is left of the credentials in a Secret that is not the one that was recorded.
// Either they are newer, since a rotation was interrupted before it could be recorded, or somebody
// has changed or deleted the Secret; the server tells which. A password that opens nothing is
// followed by a new one for the login that isn't in use, so that the running app isn't shut out.
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

// WithFormer returns the credentials of which nothing is recorded: where the other login is in use,
// it is the former one.
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

// NextLook returns when there is something to do about the credentials, if nothing else happens;
// zero if never.
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
