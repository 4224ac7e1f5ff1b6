// Package authority issues certificates for the servers and users of the local environment.
package authority

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"time"

	"k8s.io/client-go/util/cert"
	"k8s.io/client-go/util/keyutil"
)

// lifetime is how long the certificates are valid.
const lifetime = 365 * 24 * time.Hour

// Authority signs certificates. Its key is never written to disk.
type Authority struct {
	certificate *x509.Certificate
	key         crypto.Signer
}

// KeyPair is a certificate with its private key, both as PEM.
type KeyPair struct {
	Certificate []byte
	Key         []byte
}

// New makes an authority of that name.
func New(name string) (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("can't make a key for the certificate authority: %w", err)
	}
	certificate, err := cert.NewSelfSignedCACert(cert.Config{CommonName: name}, key)
	if err != nil {
		return nil, fmt.Errorf("can't make a certificate authority: %w", err)
	}
	return &Authority{certificate: certificate, key: key}, nil
}

// PEM returns the authority's own certificate.
func (a *Authority) PEM() ([]byte, error) { return cert.EncodeCertificates(a.certificate) }

// Issue issues a certificate for the subject, names, addresses and usages of the template, with a new key. It is valid
// for a year.
func (a *Authority) Issue(template *x509.Certificate) (KeyPair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return KeyPair{}, fmt.Errorf("can't make a key for %s: %w", template.Subject.CommonName, err)
	}
	template.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return KeyPair{}, fmt.Errorf("can't number the certificate of %s: %w", template.Subject.CommonName, err)
	}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.NotBefore = a.certificate.NotBefore
	template.NotAfter = a.certificate.NotBefore.Add(lifetime)
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, key.Public(), a.key)
	if err != nil {
		return KeyPair{}, fmt.Errorf("can't sign the certificate of %s: %w", template.Subject.CommonName, err)
	}
	pair := KeyPair{Certificate: pem.EncodeToMemory(&pem.Block{Type: cert.CertificateBlockType, Bytes: der})}
	if pair.Key, err = keyutil.MarshalPrivateKeyToPEM(key); err != nil {
		return KeyPair{}, fmt.Errorf("can't encode the key of %s: %w", template.Subject.CommonName, err)
	}
	return pair, nil
}
