package process

import (
	"bytes"
	"fmt"
	"os/exec"
	"strings"
)

// Output runs a command to its end and returns what it printed. The error has the command, and what that wrote to
// standard error.
func Output(cmd *exec.Cmd) (string, error) {
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	printed, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, bytes.TrimSpace(complaint.Bytes()))
	}
	return string(printed), nil
}
