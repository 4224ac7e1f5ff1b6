package apply

import "fmt"

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
