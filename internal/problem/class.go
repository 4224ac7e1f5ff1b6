package problem

import "github.com/tenantry/tenantry/api/v1alpha1"

// ClassNotFound means that the tenant's TenantClass doesn't exist.
func ClassNotFound(class string) Problem {
	return stalled(v1alpha1.ReasonClassNotFound, OnChange,
		"There is no TenantClass %q, and the tenant stays as it is; create it, or name another one in spec.className.", class)
}

// WaitsForClass means that the operator has not made a revision of the TenantClass yet.
func WaitsForClass(class string) Problem {
	return progressing("It waits until the operator has seen TenantClass %q.", class)
}

// ClassStalled means that the TenantClass has mistakes and has never been without.
func ClassStalled(class string) Problem {
	return temporary(v1alpha1.ReasonClassNotFound, OnChange,
		"TenantClass %q has mistakes, which its own status tells, and the tenant stays as it is until they are corrected.", class)
}

// RevisionNotFound means that the tenant is pinned to a TenantClassRevision that doesn't exist.
func RevisionNotFound(revision string) Problem {
	return stalled(v1alpha1.ReasonRevisionNotFound, OnChange,
		"There is no TenantClassRevision %q, and the tenant stays as it is; name another one in spec.classRevision, or leave that out to follow the class.", revision)
}

// RevisionOfOtherClass means that the tenant is pinned to a revision of another class than its own.
func RevisionOfOtherClass(revision, other, class string) Problem {
	return stalled(v1alpha1.ReasonRevisionNotFound, OnChange,
		"TenantClassRevision %q is one of the class %s and not of %s, and the tenant stays as it is; name another one in spec.classRevision, or leave that out to follow the class.", revision, other, class)
}

// RulesInvalid means that a rule of a TenantClass is no valid CEL expression. err says which, and where.
func RulesInvalid(err error) Problem {
	return stalled(v1alpha1.ReasonInvalid, OnChange,
		"A rule can't be compiled, and doesn't apply until it is corrected: %s.", err)
}

// RolloutInvalid means that nobody can be told to change by what spec.rollout of a TenantClass says. message says which
// field is wrong, and what to write.
func RolloutInvalid(message string) Problem {
	return stalled(v1alpha1.ReasonInvalid, OnChange, "No tenant is told to change until this is corrected: %s.", message)
}
