package answer

// Change is a change that a command makes of an object's spec, and what it means.
type Change struct {
	// Spec is the change as a merge patch has it; nil if there is nothing to do.
	Spec map[string]any
	// Sentences say what happens next, or why there is nothing to do.
	Sentences []string
}
