package apply

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// domain is the prefix of the operator's own labels and annotations. The engine removes those that are no longer
// desired.
const domain = "tenantry.dev/"

// annotationHash is an annotation on every object, with a hash of the desired state that was last written. It
// shows what comparing values can't: that a field was desired before and no longer is.
const annotationHash = domain + "applied"

// stamp adds annotationHash to the desired state, and returns the hash.
func stamp(desired client.Object) (string, error) { return stampAs(desired, desired) }

// stampAs does what stamp does with the hash of another state.
func stampAs(desired, intent client.Object) (string, error) {
	text, err := json.Marshal(intent)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(text)
	hash := hex.EncodeToString(sum[:8])
	annotations := maps.Clone(desired.GetAnnotations())
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[annotationHash] = hash
	desired.SetAnnotations(annotations)
	return hash, nil
}

// includes reports whether have contains want. A map may have further keys; lists must have the same length.
func includes(have, want any) bool {
	switch want := want.(type) {
	case map[string]any:
		have, ok := have.(map[string]any)
		if !ok {
			return len(want) == 0
		}
		for key, value := range want {
			if !includes(have[key], value) {
				return false
			}
		}
		return true
	case []any:
		have, ok := have.([]any)
		return ok && slices.EqualFunc(have, want, includes)
	case nil:
		return true
	default:
		return reflect.DeepEqual(have, want)
	}
}

func overlay(below, above map[string]string) map[string]string {
	result := maps.Clone(below)
	if result == nil {
		result = map[string]string{}
	}
	maps.DeleteFunc(result, func(key, _ string) bool { return strings.HasPrefix(key, domain) })
	maps.Copy(result, above)
	return result
}

// union returns the first list, followed by the items that only the second one has.
func union(all, others []string) []string {
	result := slices.Clone(all)
	for _, other := range others {
		if !slices.Contains(result, other) {
			result = append(result, other)
		}
	}
	return result
}

func overlayReferences(below, above []metav1.OwnerReference) []metav1.OwnerReference {
	result := slices.Clone(below)
	for _, reference := range above {
		at := slices.IndexFunc(result, func(other metav1.OwnerReference) bool { return other.UID == reference.UID })
		if at < 0 {
			result = append(result, reference)
		} else {
			result[at] = reference
		}
	}
	return result
}

// without returns the first map without the entries that the second one has with the same value.
func without(all, taken map[string]string) map[string]string {
	result := maps.Clone(all)
	maps.DeleteFunc(result, func(key, value string) bool {
		other, found := taken[key]
		return found && other == value
	})
	return result
}

func withoutOwner(references []metav1.OwnerReference, owner types.UID) []metav1.OwnerReference {
	return slices.DeleteFunc(slices.Clone(references), func(reference metav1.OwnerReference) bool { return reference.UID == owner })
}
