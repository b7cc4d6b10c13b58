/**
 * The application-master program: does what the service orders and tells what happens, as agreed in {@code
 * src/engines/yarn/protocol.ts}. YARN's protocol for application masters is there for Java only; that is why this is not
 * TypeScript, and why nothing is decided here.
 *
 * <p>{@link org.pushbroom.yarn.Main} reads orders on its own thread and gives them to {@link org.pushbroom.yarn.Orders}.
 * Each {@link org.pushbroom.yarn.Application} has a thread for its heartbeat, by a {@link
 * org.pushbroom.yarn.ResourceManagerLink}. Whatever may wait for a node is done by the workers of the {@link
 * org.pushbroom.yarn.Cluster}. Events of all of them go through one {@link org.pushbroom.yarn.EventSink}.
 */
package org.pushbroom.yarn;
