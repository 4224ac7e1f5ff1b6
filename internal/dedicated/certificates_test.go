package dedicated_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/util/cert"
	"k8s.io/client-go/util/keyutil"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/dedicated"
)

const day = 24 * time.Hour

// withoutAuthorityKey returns the secrets of an older version, which didn't keep the authority's key.
func withoutAuthorityKey(secrets dedicated.Secrets) dedicated.Secrets {
	secrets.AuthorityKey = nil
	return secrets
}

// verify checks the certificate that the server presents, like a client that trusts these authorities.
func verify(t *testing.T, authorities []byte, shown dedicated.Secrets, at time.Time) {
	t.Helper()
	roots, err := cert.NewPoolFromBytes(authorities)
	if err != nil {
		t.Fatal(err)
	}
	certificates, err := cert.ParseCertsPEM(shown.Certificate)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := certificates[0].Verify(x509.VerifyOptions{DNSName: host, Roots: roots, CurrentTime: at}); err != nil {
		t.Fatalf("at %s a client does not trust the server: %v", at, err)
	}
}

func authorities(t *testing.T, secrets dedicated.Secrets) int {
	t.Helper()
	all, err := cert.ParseCertsPEM(secrets.Authority)
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

func TestCertificatesAreRenewedStepByStep(t *testing.T) {
	const lifetime, authorityLifetime = 365 * day, 10 * 365 * day
	fresh := completed(t, dedicated.Secrets{}, now)
	// An authority with two thirds of its lifetime passed, and a new certificate of it.
	aged := fresh
	for at := now.Add(lifetime * 3 / 4); at.Before(now.Add(authorityLifetime * 2 / 3)); at = at.Add(lifetime / 2) {
		aged = completed(t, aged, at)
	}
	announced := now.Add(authorityLifetime * 2 / 3)
	changing := completed(t, aged, announced)
	// A certificate that expires before clients would have had their full notice.
	late := now.Add(lifetime - 2*day)
	hasty := completed(t, withoutAuthorityKey(fresh), late)

	for _, test := range []struct {
		name                                    string
		secrets                                 dedicated.Secrets
		at                                      time.Time
		newAuthority, newCertificate, newSecret bool
		authorities                             int
	}{
		{"two thirds have not passed", fresh, now.Add(lifetime*2/3 - day), false, false, false, 1},
		{"two thirds of the certificate's lifetime have passed", fresh, now.Add(lifetime * 2 / 3), false, true, false, 1},
		{"two thirds of the authority's lifetime have passed", aged, announced, true, false, false, 2},
		{"clients may not know the new authority yet", changing, announced.Add(7*day - time.Minute), false, false, false, 2},
		{"clients have had the time to learn of it", changing, announced.Add(7 * day), false, true, false, 2},
		{"there is no key of the authority, and nothing to sign", withoutAuthorityKey(fresh), now, false, false, false, 1},
		{"there is no key of the authority to sign a new certificate by", withoutAuthorityKey(fresh), now.Add(lifetime * 2 / 3), true, false, false, 2},
		{"the notice is half of what is left of the certificate", hasty, late.Add(day - time.Minute), false, false, false, 2},
		{"half of what was left has passed", hasty, late.Add(day), false, true, false, 2},
		{"the certificate has expired", fresh, now.Add(lifetime + time.Minute), true, true, true, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := completed(t, test.secrets, test.at)
			for what, changed := range map[string][2]bool{
				"authority":   {test.newAuthority, !bytes.Equal(got.Authority, test.secrets.Authority)},
				"certificate": {test.newCertificate, !bytes.Equal(got.Certificate, test.secrets.Certificate)},
				"key":         {test.newSecret, !bytes.Equal(got.Key, test.secrets.Key)},
			} {
				if changed[0] != changed[1] {
					t.Errorf("new %s: %t, want %t", what, changed[1], changed[0])
				}
			}
			if has := authorities(t, got); has != test.authorities {
				t.Errorf("clients trust %d authorities, want %d", has, test.authorities)
			}
			verify(t, got.Authority, got, test.at)
			if again := completed(t, got, test.at); !bytes.Equal(again.Certificate, got.Certificate) || !bytes.Equal(again.Authority, got.Authority) {
				t.Error("the next look takes another step")
			}
		})
	}
}

func TestACertificateThatSignsItselfStaysUntilItIsDue(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{DNSNames: []string{host}, NotBefore: now, NotAfter: now.Add(90 * day)}
	signed, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	own := completed(t, dedicated.Secrets{}, now)
	own.Certificate = pem.EncodeToMemory(&pem.Block{Type: cert.CertificateBlockType, Bytes: signed})
	own.Authority = own.Certificate
	if own.Key, err = keyutil.MarshalPrivateKeyToPEM(key); err != nil {
		t.Fatal(err)
	}
	if same := completed(t, own, now.Add(59*day)); !bytes.Equal(same.Authority, own.Authority) || !bytes.Equal(same.Certificate, own.Certificate) {
		t.Error("it is renewed before it is due")
	}
	if due := completed(t, own, now.Add(60*day)); authorities(t, due) != 2 || !bytes.Equal(due.Key, own.Key) {
		t.Error("no authority is added to it when it is due")
	}
}

func TestClientsTrustTheServerForDecades(t *testing.T) {
	for name, test := range map[string]struct {
		start func(dedicated.Secrets) dedicated.Secrets
		// pause is the time between two reconciles.
		pause time.Duration
	}{
		"the operator runs":                  {func(secrets dedicated.Secrets) dedicated.Secrets { return secrets }, 6 * day},
		"the operator is down most times":    {func(secrets dedicated.Secrets) dedicated.Secrets { return secrets }, 40 * day},
		"a version made it that kept no key": {withoutAuthorityKey, 6 * day},
	} {
		t.Run(name, func(t *testing.T) {
			const years = 25
			current := test.start(completed(t, dedicated.Secrets{}, now))
			// A client learns of an authority as late as possible.
			known, learned, restarts := current.Authority, now, 0
			for at := now; at.Before(now.AddDate(years, 0, 0)); at = at.Add(test.pause) {
				next, err := current.CompleteCertificate(host, at)
				if err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(next.Key, current.Key) {
					t.Fatalf("at %s the server restarts for another key", at)
				}
				if !bytes.Equal(next.Authority, current.Authority) {
					learned = at.Add(6 * day)
					restarts++
				}
				if !at.Before(learned) {
					known = next.Authority
				}
				verify(t, known, next, at)
				verify(t, next.Authority, current, at)
				current = next
			}
			if restarts < 3 || restarts > 4 {
				t.Errorf("clients had to learn of %d authorities in %d years, want one in 6 to 7 years", restarts, years)
			}
		})
	}
}

func TestTheServerDoesNotRestartForARenewedCertificate(t *testing.T) {
	in := dedicated.Inputs{Server: server(asIs), Provisioner: v1alpha1.ProvisionerStatefulSet}
	revision := func(secrets dedicated.Secrets) string {
		in.Secrets = secrets
		return find[*appsv1.StatefulSet](t, dedicated.Objects(in)).Spec.Template.Annotations["tenantry.dev/secrets"]
	}
	fresh := completed(t, dedicated.Secrets{}, now)
	renewed := completed(t, fresh, now.AddDate(0, 9, 0))
	if bytes.Equal(renewed.Certificate, fresh.Certificate) {
		t.Fatal("the certificate is the same")
	}
	if revision(renewed) != revision(fresh) {
		t.Error("it restarts")
	}

	former := withoutAuthorityKey(fresh)
	sum := sha256.Sum256(fmt.Appendf(nil, "%q%q%q", former.Verifier, former.Certificate, former.Key))
	if got, want := revision(former), hex.EncodeToString(sum[:])[:16]; got != want {
		t.Errorf("an upgrade restarts a server of a version that kept no key: its annotation was %s and is %s", want, got)
	}
	for _, object := range dedicated.Objects(in) {
		if secret, is := object.(*corev1.Secret); is && secret.Name == "dedicated-acme-ca" && len(secret.Data) != 1 {
			t.Errorf("an upgrade writes %d keys to the Secret of the authority", len(secret.Data))
		}
	}
}

func TestTheOperatorKnowsTheCertificateThatAServerIsToShow(t *testing.T) {
	fresh, other := completed(t, dedicated.Secrets{}, now), completed(t, dedicated.Secrets{}, now)
	shown, err := cert.ParseCertsPEM(fresh.Certificate)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name   string
		secret []byte
		want   bool
	}{
		{"the one in its Secret", fresh.Certificate, true},
		{"another one", other.Certificate, false},
		{"the Secret has none", nil, false},
	} {
		secret := &corev1.Secret{Data: map[string][]byte{corev1.TLSCertKey: test.secret}}
		if got := dedicated.HasCertificate(secret, shown[0].Raw); got != test.want {
			t.Errorf("%s: %t, want %t", test.name, got, test.want)
		}
	}
}
