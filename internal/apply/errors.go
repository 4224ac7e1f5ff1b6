package apply

import (
	"errors"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// ConflictError means that the object exists and the owner doesn't control it.
type ConflictError struct {
	// Object is the object's kind, name and namespace, as in [Key.String].
	Object string
	// Controller is the kind and name of the object's controller; empty if it has none.
	Controller string
	// Restored means that Owning.Restored would allow taking over the object.
	Restored bool
}

func (e *ConflictError) Error() string {
	if e.Controller != "" {
		return fmt.Sprintf("%s belongs to %s and is left as it is.", e.Object, e.Controller)
	}
	return fmt.Sprintf("%s exists already and is left as it is; delete or rename it to make room.", e.Object)
}

// TerminatingError means that the object is being deleted, and can be neither used nor replaced yet.
type TerminatingError struct {
	// Object is the object's kind, name and namespace, as in [Key.String].
	Object string
}

func (e *TerminatingError) Error() string {
	return fmt.Sprintf("%s is still being deleted.", e.Object)
}

// FieldsConflictError means that somebody else has set fields of the object to other values than the desired ones.
type FieldsConflictError struct {
	// Object is the object's kind, name and namespace, as in [Key.String].
	Object string
	// Fields are the fields, each with who has set it.
	Fields []string
}

func (e *FieldsConflictError) Error() string {
	return fmt.Sprintf("%s is left as it is, since others have set %s.", e.Object, strings.Join(e.Fields, ", "))
}

// fieldsConflict returns a *FieldsConflictError for the API server's refusal to take fields from their managers, and
// any other error unchanged.
func (e *Engine) fieldsConflict(live client.Object, err error) error {
	var status apierrors.APIStatus
	if !apierrors.HasStatusCause(err, metav1.CauseTypeFieldManagerConflict) || !errors.As(err, &status) {
		return err
	}
	conflict := &FieldsConflictError{Object: e.describe(live)}
	for _, cause := range status.Status().Details.Causes {
		manager := cause.Message
		if parts := strings.Split(cause.Message, `"`); len(parts) > 1 {
			manager = parts[1]
		}
		conflict.Fields = append(conflict.Fields, fmt.Sprintf("%s (%s)", cause.Field, manager))
	}
	return conflict
}
