/** The fixture server by itself: where a test through the recorder fails, this one says whose fault it is. */
import { describeClientBehaviour } from './client-behaviour.ts';
import { startFixtureServer } from './fixture-server.ts';

describeClientBehaviour('the fixture server', () => startFixtureServer());
