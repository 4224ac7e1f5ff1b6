package database

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/xdg-go/scram"
	"k8s.io/utils/lru"
)

const (
	scramMechanism     = "SCRAM-SHA-256"
	scramIterations    = 4096
	scramMaxIterations = 100_000
	scramSaltLength    = 16

	// maxPairs is more than tenants are made between two probes of a server.
	maxPairs = 1024
)

// pairs has digests of the latest verifiers, each with its password, of which this process has computed that
// they belong together. A tenant's verifier is compared soon after it was made, when its server tells of it
// for the first time. This changes how long [Matches] takes, and not what it says: any other verifier, or
// another password, is a pair that isn't known.
var pairs = lru.New(maxPairs)

// pair stands for a verifier and a password.
func pair(verifier, password string) [sha256.Size]byte {
	first, second := sha256.Sum256([]byte(verifier)), sha256.Sum256([]byte(password))
	return sha256.Sum256(slices.Concat(first[:], second[:]))
}

// Verifier returns what PostgreSQL stores for the password, in its own notation
// SCRAM-SHA-256$4096:<salt>$<StoredKey>:<ServerKey>. A role that is given a verifier as its
// password takes it as it is, so the password itself never reaches the server. The salt is
// random; use [Matches] to compare. The password must be ASCII.
func Verifier(password string) string {
	salt := make([]byte, scramSaltLength)
	rand.Read(salt) // never fails
	stored, err := verifier(password, scram.KeyFactors{Salt: string(salt), Iters: scramIterations})
	if err != nil {
		panic(fmt.Sprintf("the Go runtime refuses PBKDF2 with SHA-256, which PostgreSQL requires: %v", err))
	}
	pairs.Add(pair(stored, password), nil)
	return stored
}

// Matches reports whether the verifier was made from the password, by [Verifier] or by PostgreSQL.
// Anything that isn't a SCRAM-SHA-256 verifier doesn't match, nor does one of more than 100,000
// iterations: a tenant may give its login a verifier that takes an hour to compare.
func Matches(stored, password string) bool {
	this := pair(stored, password)
	if _, known := pairs.Get(this); known {
		return true
	}
	matches := compare(stored, password)
	if matches {
		pairs.Add(this, nil)
	}
	return matches
}

// compare makes a verifier from the password as the stored one was made.
func compare(stored, password string) bool {
	parameters, _, _ := strings.Cut(strings.TrimPrefix(stored, scramMechanism+"$"), "$")
	count, encodedSalt, _ := strings.Cut(parameters, ":")
	iterations, err := strconv.Atoi(count)
	if err != nil || iterations < 1 || iterations > scramMaxIterations {
		return false
	}
	salt, err := base64.StdEncoding.DecodeString(encodedSalt)
	if err != nil {
		return false
	}
	wanted, err := verifier(password, scram.KeyFactors{Salt: string(salt), Iters: iterations})
	return err == nil && subtle.ConstantTimeCompare([]byte(stored), []byte(wanted)) == 1
}

// verifier writes what the library computes in PostgreSQL's notation, which it doesn't have.
func verifier(password string, factors scram.KeyFactors) (string, error) {
	client, err := scram.SHA256.NewClientUnprepped("", password, "")
	if err != nil {
		return "", err
	}
	made, err := client.GetStoredCredentialsWithError(factors)
	if err != nil {
		return "", err
	}
	encode := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("%s$%d:%s$%s:%s", scramMechanism, factors.Iters, encode([]byte(factors.Salt)), encode(made.StoredKey), encode(made.ServerKey)), nil
}
