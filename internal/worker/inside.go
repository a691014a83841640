package worker

import (
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
)

// What the worker inherits beside the usual three.
const (
	eventsFD = 3
	ordersFD = 4
)

// maxStack ends a runaway recursion of Go's own before it has used a gigabyte, which is the
// default.
const maxStack = 128 << 20

// exitEnded is the exit code of a worker that ends itself. Nobody looks at it.
const exitEnded = 1

// Inside is what a worker has of the process that started it.
type Inside[O, E any] struct {
	events *sender
	orders *gob.Decoder
}

// Open makes this process a worker, whose mark was taken. It returns the first order.
func Open[O, E any]() (w *Inside[O, E], first O, err error) {
	// Programs that this one starts, such as a kubeconfig's, must not hold the pipes open.
	syscall.CloseOnExec(eventsFD)
	syscall.CloseOnExec(ordersFD)
	w = &Inside[O, E]{events: newSender(os.NewFile(eventsFD, "events")), orders: gob.NewDecoder(os.NewFile(ordersFD, "orders"))}
	var l limits
	if err = errors.Join(w.orders.Decode(&l), w.orders.Decode(&first)); err != nil {
		return nil, first, fmt.Errorf("orders: %w", err)
	}
	if log.Writer() == os.Stderr {
		log.SetOutput(os.Stdout)
	}
	os.Stderr = os.Stdout
	SurviveReader()
	// Not ignored, since programs that this one starts would inherit that.
	signal.Notify(make(chan os.Signal, 1), Signals()...)
	debug.SetMaxStack(maxStack)
	go w.heartbeat(l)
	return w, first, nil
}

// Tell sends an event. What can't be sent has nobody left to read it: this process is about to end,
// too.
func (w *Inside[O, E]) Tell(event E) {
	if err := w.events.send(envelope[E]{Event: &event}); err != nil {
		Exit(exitEnded)
	}
}

// Fatal ends this process because nothing else can end what it is at. why completes a sentence
// whose subject is the process.
func (w *Inside[O, E]) Fatal(why string) {
	if err := w.events.send(envelope[E]{Fatal: why}); err != nil {
		Exit(exitEnded)
	}
	Exit(exitEnded)
}

// FollowOrders gives the further orders to handle, and ends this process when who gives them is
// gone: as by a SIGKILL, which that probably died of.
func (w *Inside[O, E]) FollowOrders(handle func(O)) {
	for {
		var order O
		err := w.orders.Decode(&order)
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			Exit(exitEnded)
		}
		if err != nil {
			w.Fatal(fmt.Sprintf("could not read its orders (%v)", err))
		}
		handle(order)
	}
}
