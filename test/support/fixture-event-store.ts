/**
 * Owns the events that a 2025-11-25 session may have to send again: one store a session, so that an event id
 * never reaches into somebody else's stream. Invariant: within one stream, replay gives the events in the order
 * in which they were stored, each exactly once, and never the event that the client already has.
 */
import type { EventStore, JSONRPCMessage } from '@modelcontextprotocol/server';

/**
 * Makes an empty store for the transport of one session.
 *
 * Event ids read `<stream>/<n>`: unlike random ids they let a test see from the recording alone which stream an
 * event belongs to. Priming events (an id without data) are stored as empty messages by the SDK; they mark a place
 * and are not replayed.
 */
export function createFixtureEventStore(): EventStore {
  const streams = new Map<string, JSONRPCMessage[]>();
  return {
    async storeEvent(streamId, message) {
      const events = streams.get(streamId) ?? [];
      streams.set(streamId, events);
      events.push(message);
      return `${streamId}/${events.length}`;
    },
    async getStreamIdForEventId(eventId) {
      const streamId = eventId.slice(0, eventId.lastIndexOf('/'));
      return streams.has(streamId) ? streamId : undefined;
    },
    async replayEventsAfter(lastEventId, { send }) {
      const separator = lastEventId.lastIndexOf('/');
      const streamId = lastEventId.slice(0, separator);
      const events = streams.get(streamId) ?? [];
      for (let place = Number(lastEventId.slice(separator + 1)); place < events.length; place += 1) {
        const message = events[place];
        if (message !== undefined && Object.keys(message).length > 0) {
          await send(`${streamId}/${place + 1}`, message);
        }
      }
      return streamId;
    },
  };
}
