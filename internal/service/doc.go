// Package service decides what every service that tenants get from a shared server has in common, whatever
// engine runs there. It knows no query language, no protocol and no client, and is pure: it neither talks
// to a server nor reads a clock.
package service
