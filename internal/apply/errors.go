package apply

import "fmt"

// ConflictError says that an object is in the way: it exists, and the owner doesn't control it.
type ConflictError struct {
	// Object is the object, by kind, name and namespace.
	Object string
	// Controller is what controls the object instead, by kind and name; empty if nothing does.
	Controller string
	// Restored says that nothing controls it and that the engine has once written it, so that Owning.Restored
	// would have it taken over.
	Restored bool
}

func (e *ConflictError) Error() string {
	if e.Controller != "" {
		return fmt.Sprintf("%s belongs to %s and is left as it is.", e.Object, e.Controller)
	}
	return fmt.Sprintf("%s exists already and is left as it is; delete or rename it to make room.", e.Object)
}

// TerminatingError says that an object is being deleted, so that it can neither be used nor be replaced
// yet.
type TerminatingError struct {
	// Object is the object, by kind, name and namespace.
	Object string
}

func (e *TerminatingError) Error() string {
	return fmt.Sprintf("%s is still being deleted.", e.Object)
}
