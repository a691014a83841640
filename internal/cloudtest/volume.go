package cloudtest

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
)

// attached is where a volume is: nowhere if there is no instance.
type attached struct {
	instance, device string
	ends             bool // with the instance
}

// AddVolume puts a volume there, attached to an instance or, if that is "", to none.
func (a *AWS) AddVolume(id, instance, device string, ends bool) {
	a.state.Lock()
	defer a.state.Unlock()
	a.volumes[id] = &lagging[attached]{now: attached{instance, device, ends}}
}

// Volume says where a volume is: "i-1 /dev/sdf true" if it ends with the instance, "" for nowhere.
func (a *AWS) Volume(id string) string {
	a.state.Lock()
	defer a.state.Unlock()
	v := a.volumes[id]
	if v == nil || v.now.instance == "" {
		return ""
	}
	return fmt.Sprintf("%s %s %t", v.now.instance, v.now.device, v.now.ends)
}

func (a *AWS) describeVolumes(form url.Values) (string, error) {
	wanted := filters(form)
	var items []string
	for _, id := range slices.Sorted(maps.Keys(a.volumes)) {
		at := a.volumes[id].look()
		have := map[string]string{"volume-id": id, "attachment.instance-id": at.instance}
		matches := true
		for name, values := range wanted {
			matches = matches && slices.Contains(values, have[name])
		}
		if !matches {
			continue
		}
		state, attachments := "available", ""
		if at.instance != "" {
			state = "in-use"
			attachments = fmt.Sprintf("<item><volumeId>%s</volumeId><instanceId>%s</instanceId><device>%s</device><status>attached</status><deleteOnTermination>%t</deleteOnTermination></item>", id, at.instance, at.device, at.ends)
		}
		items = append(items, fmt.Sprintf("<item><volumeId>%s</volumeId><status>%s</status><attachmentSet>%s</attachmentSet></item>", id, state, attachments))
	}
	set, next, err := cutPage(items, form)
	return "<volumeSet>" + set + "</volumeSet>" + next, err
}

func (a *AWS) detachVolume(form url.Values) (string, error) {
	id := form.Get("VolumeId")
	v := a.volumes[id]
	switch {
	case v == nil:
		return "", &refusal{"InvalidVolume.NotFound", fmt.Sprintf("The volume '%s' does not exist.", id)}
	case v.now.instance != form.Get("InstanceId"):
		return "", &refusal{"IncorrectState", fmt.Sprintf("Volume '%s' is in the 'available' state.", id)}
	}
	v.set(attached{}, lateLooks)
	return "<status>detaching</status>", nil
}

// attachVolume forgets whether the volume ended with its instance, as EC2 does.
func (a *AWS) attachVolume(form url.Values) (string, error) {
	id := form.Get("VolumeId")
	v := a.volumes[id]
	switch {
	case v == nil:
		return "", &refusal{"InvalidVolume.NotFound", fmt.Sprintf("The volume '%s' does not exist.", id)}
	case v.now.instance != "":
		return "", &refusal{"VolumeInUse", fmt.Sprintf("%s is already attached to an instance", id)}
	case a.instances[form.Get("InstanceId")] == nil:
		return "", &refusal{"InvalidInstanceID.NotFound", "no such instance"}
	}
	v.set(attached{form.Get("InstanceId"), form.Get("Device"), false}, lateLooks)
	return "<status>attaching</status>", nil
}

func (a *AWS) modifyInstance(form url.Values) (string, error) {
	for _, v := range a.volumes {
		if v.now.instance == form.Get("InstanceId") && v.now.device == form.Get("BlockDeviceMapping.1.DeviceName") {
			changed := v.now
			changed.ends = form.Get("BlockDeviceMapping.1.Ebs.DeleteOnTermination") == "true"
			v.set(changed, 0)
			return "<return>true</return>", nil
		}
	}
	return "", &refusal{"InvalidInstanceAttributeValue", "No device is currently mapped at " + form.Get("BlockDeviceMapping.1.DeviceName")}
}
