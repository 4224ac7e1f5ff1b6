package tenant

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// digestKey is the annotation with the digest of a Secret in the store of [SettingsSecrets], which is all that is kept
// of it.
const digestKey = "digest"

// onlyDigest drops everything from a Secret but its name and a digest.
func onlyDigest(object any) (any, error) {
	secret, isSecret := object.(*corev1.Secret)
	if !isSecret {
		return object, nil
	}
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{
		Namespace: secret.Namespace, Name: secret.Name, ResourceVersion: secret.ResourceVersion,
		Annotations: map[string]string{digestKey: digest(secret)},
	}}, nil
}

// digest changes with the content of a Secret. It includes the UID, which is random and which only those know who can
// read the Secret: what is derived from the digest is in annotations that others can read, who could otherwise guess a
// short content by trying.
func digest(secret *corev1.Secret) string {
	hash := sha256.New()
	fmt.Fprintf(hash, "%q\n", secret.UID)
	for _, key := range slices.Sorted(maps.Keys(secret.Data)) {
		fmt.Fprintf(hash, "%q=%q\n", key, secret.Data[key])
	}
	return hex.EncodeToString(hash.Sum(nil))
}
