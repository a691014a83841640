package aws

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strconv"

	"github.com/ebb-chaos/ebb/internal/cloudapi"
)

// Volume is a disk. It can be attached to one instance, or to several if it was created for that.
type Volume struct {
	ID          string
	State       string // "available" if it is not attached, "in-use" if it is
	Attachments []Attachment
}

// Attachment says how a volume is attached to an instance.
type Attachment struct {
	Instance            string
	Device              string // as EC2 names it: "/dev/sdf"
	State               string // "attaching", "attached", "detaching"
	DeleteOnTermination bool   // whether the volume is deleted with the instance
}

// Attached is the state of a complete attachment.
const Attached = "attached"

// VolumesOf returns the volumes that are attached to an instance, or the existing ones of some IDs.
// One of instance and ids must be empty.
func (c *Client) VolumesOf(ctx context.Context, region, instance string, ids []string) ([]Volume, error) {
	form, thing := filter("attachment.instance-id", []string{instance}), named("instance", []string{instance})
	if instance == "" {
		form, thing = filter("volume-id", ids), named("volume", ids)
	}
	var volumes []Volume
	for token := "-"; token != ""; {
		var out struct {
			Volumes []struct {
				ID          string `xml:"volumeId"`
				State       string `xml:"status"`
				Attachments []struct {
					Instance string `xml:"instanceId"`
					Device   string `xml:"device"`
					State    string `xml:"status"`
					Delete   bool   `xml:"deleteOnTermination"`
				} `xml:"attachmentSet>item"`
			} `xml:"volumeSet>item"`
			Next string `xml:"nextToken"`
		}
		q := call{action: "DescribeVolumes", region: region, thing: thing, form: form, set: "volumeSet"}
		if err := c.do(ctx, q, &out); err != nil {
			return nil, err
		}
		for _, v := range out.Volumes {
			volume := Volume{ID: v.ID, State: v.State}
			for _, a := range v.Attachments {
				volume.Attachments = append(volume.Attachments, Attachment{a.Instance, a.Device, a.State, a.Delete})
			}
			asked := slices.Contains(ids, v.ID)
			if instance != "" {
				asked = slices.ContainsFunc(volume.Attachments, func(a Attachment) bool { return a.Instance == instance })
			}
			if !asked {
				return nil, q.fail(fmt.Errorf("the answer is about volume %q", v.ID))
			}
			volumes = append(volumes, volume)
		}
		token = out.Next
		form.Set("NextToken", token)
	}
	return volumes, nil
}

// RootDevice returns the device that an instance boots from, as EC2 names it.
func (c *Client) RootDevice(ctx context.Context, region, instance string) (string, error) {
	q := call{action: "DescribeInstances", region: region, thing: named("instance", []string{instance}), form: filter("instance-id", []string{instance}), set: "reservationSet"}
	var out struct {
		IDs  []string `xml:"reservationSet>item>instancesSet>item>instanceId"`
		Root []string `xml:"reservationSet>item>instancesSet>item>rootDeviceName"`
	}
	if err := c.do(ctx, q, &out); err != nil {
		return "", err
	}
	if len(out.Root) != 1 || out.Root[0] == "" || !slices.Equal(out.IDs, []string{instance}) {
		return "", q.fail(fmt.Errorf("got the root devices %q of instances %q, want one", out.Root, out.IDs))
	}
	return out.Root[0], nil
}

// DetachVolume detaches a volume from an instance by force, and returns when that is visible.
func (c *Client) DetachVolume(ctx context.Context, region, volume, instance string) error {
	q := call{
		action: "DetachVolume", region: region, thing: named("volume", []string{volume}),
		form: url.Values{"VolumeId": {volume}, "InstanceId": {instance}, "Force": {"true"}},
		landed: func(ctx context.Context) (bool, error) {
			there, err := c.attachment(ctx, region, volume, instance)
			return there == nil || there.State != Attached, err
		},
	}
	// If the answer was lost and the change is not visible yet, the request is repeated. EC2 then
	// returns this error.
	if err := c.do(ctx, q, nil); err != nil && !refusedAs(err, "IncorrectState") {
		return err
	}
	return c.shown(ctx, q, func(ctx context.Context) (bool, error) {
		there, err := c.attachment(ctx, region, volume, instance)
		return there == nil, err
	})
}

// AttachVolume attaches a volume to an instance, and returns when that is visible. EC2 then does
// not remember whether the volume is deleted with the instance: call [Client.EndWithInstance] for
// that.
func (c *Client) AttachVolume(ctx context.Context, region, volume, instance, device string) error {
	q := call{
		action: "AttachVolume", region: region, thing: named("volume", []string{volume}),
		form: url.Values{"VolumeId": {volume}, "InstanceId": {instance}, "Device": {device}},
		landed: func(ctx context.Context) (bool, error) {
			there, err := c.attachment(ctx, region, volume, instance)
			return there != nil, err
		},
	}
	// See DetachVolume.
	if err := c.do(ctx, q, nil); err != nil && !refusedAs(err, "VolumeInUse") {
		return err
	}
	return c.shown(ctx, q, func(ctx context.Context) (bool, error) {
		there, err := c.attachment(ctx, region, volume, instance)
		return there != nil && there.State == Attached, err
	})
}

// EndWithInstance sets whether the volume at a device of an instance is deleted with the instance.
func (c *Client) EndWithInstance(ctx context.Context, region, instance, device string, ends bool) error {
	return c.do(ctx, call{
		action: "ModifyInstanceAttribute", region: region, thing: named("instance", []string{instance}),
		form: url.Values{
			"InstanceId": {instance}, "BlockDeviceMapping.1.DeviceName": {device},
			"BlockDeviceMapping.1.Ebs.DeleteOnTermination": {strconv.FormatBool(ends)},
		},
	}, nil)
}

// attachment returns how a volume is attached to an instance, nil if it is not.
func (c *Client) attachment(ctx context.Context, region, volume, instance string) (*Attachment, error) {
	volumes, err := c.VolumesOf(ctx, region, "", []string{volume})
	if err != nil {
		return nil, err
	}
	if len(volumes) == 0 {
		return nil, &cloudapi.Error{Call: "DescribeVolumes", Thing: named("volume", []string{volume}), Reason: "NotFound", Message: "there is no such volume"}
	}
	for _, a := range volumes[0].Attachments {
		if a.Instance == instance {
			return &a, nil
		}
	}
	return nil, nil
}
