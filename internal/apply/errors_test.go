package apply

import (
	"testing"

	"k8s.io/apimachinery/pkg/types"
)

func TestErrorsAreSentencesThatNameTheObject(t *testing.T) {
	secret := Key{Kind: "Secret", NamespacedName: types.NamespacedName{Namespace: "acme", Name: "database"}}.String()
	namespace := Key{Kind: "Namespace", NamespacedName: types.NamespacedName{Name: "acme"}}.String()
	for _, test := range []struct {
		err  error
		want string
	}{
		{
			&ConflictError{Object: secret},
			`Secret "database" in namespace "acme" exists already and is left as it is; delete or rename it to make room.`,
		},
		{
			&ConflictError{Object: namespace, Controller: `Tenant "other"`},
			`Namespace "acme" belongs to Tenant "other" and is left as it is.`,
		},
		{&TerminatingError{Object: namespace}, `Namespace "acme" is still being deleted.`},
	} {
		if got := test.err.Error(); got != test.want {
			t.Errorf("it says\n%s\nwant\n%s", got, test.want)
		}
	}
}
