// Package chart tests the Helm chart with Helm's own library: that it says what config/ says, that each of its values has
// an effect, and that tenants notice neither an upgrade nor an uninstall.
//
// It is a module of its own, since Helm depends on much that nothing else here needs.
package chart
