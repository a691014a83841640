package main

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// capabilityNames is in the order of the kernel's numbers.
var capabilityNames = strings.Fields(`
	CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST
	NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE
	SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM
	BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE`)

// usualCapabilities are the default of container runtimes.
var usualCapabilities = strings.Fields(`CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP
	NET_BIND_SERVICE SYS_CHROOT KILL AUDIT_WRITE`)

// capabilities returns those of a container, nil for all.
func capabilities(c *corev1.Container) []int {
	s := c.SecurityContext
	if s != nil && s.Privileged != nil && *s.Privileged {
		return nil
	}
	has := map[string]bool{}
	for _, name := range usualCapabilities {
		has[name] = true
	}
	if s != nil && s.Capabilities != nil {
		set := func(list []corev1.Capability, to bool) {
			for _, name := range list {
				names := []string{strings.TrimPrefix(strings.ToUpper(string(name)), "CAP_")}
				if names[0] == "ALL" {
					names = capabilityNames
				}
				for _, name := range names {
					has[name] = to
				}
			}
		}
		// As runtimes do it: "drop ALL" keeps what is added.
		set(s.Capabilities.Drop, false)
		set(s.Capabilities.Add, true)
	}
	numbers := []int{}
	for number, name := range capabilityNames {
		if has[name] {
			numbers = append(numbers, number)
		}
	}
	slices.Sort(numbers)
	return numbers
}
