package database

import (
	"maps"
	"slices"
	"strconv"
)

// bytesPerKilobyte is the unit of temp_file_limit.
const bytesPerKilobyte = 1024

// settings returns the desired default settings of a login. An empty value means the server's own.
func (d Desired) settings() map[string]string {
	wanted := map[string]string{"temp_file_limit": "", "statement_timeout": ""}
	if d.TempFileLimit != nil {
		wanted["temp_file_limit"] = strconv.FormatInt(*d.TempFileLimit/bytesPerKilobyte, 10) + "kB"
	}
	if d.StatementTimeout > 0 {
		wanted["statement_timeout"] = strconv.FormatInt(d.StatementTimeout.Milliseconds(), 10) + "ms"
	}
	return wanted
}

// planSettings doesn't change other settings, which a tenant may have set itself.
func planSettings(d Desired, o Observed) []Action {
	var actions []Action
	wanted := d.settings()
	names := slices.Sorted(maps.Keys(wanted))
	for i, login := range Logins(o.Name) {
		for _, name := range names {
			current := ""
			if role := o.Logins[i]; role != nil {
				current = role.Settings[name]
			}
			switch wanted[name] {
			case current:
			case "":
				actions = append(actions, ResetLoginSetting{Login: login, Setting: name})
			default:
				actions = append(actions, SetLoginSetting{Login: login, Setting: name, Value: wanted[name]})
			}
		}
	}
	return actions
}
