package org.pushbroom.yarn;

import java.util.List;
import org.apache.hadoop.yarn.api.records.ContainerLaunchContext;
import org.apache.hadoop.yarn.api.records.Priority;
import org.apache.hadoop.yarn.api.records.Resource;
import org.apache.hadoop.yarn.api.records.ResourceRequest;

/** What a {@code run} order asks for: one container on one node, and what to start in it. */
final class Ask {
  /** Within an application YARN serves lower numbers first; ours are all alike, in the order of their numbers. */
  private static final Priority PRIORITY = Priority.newInstance(1);

  final long request;
  final String node;
  final Resource capability;
  final ContainerLaunchContext start;

  Ask(long request, String node, Resource capability, ContainerLaunchContext start) {
    this.request = request;
    this.node = node;
    this.capability = capability;
    this.start = start;
  }

  /**
   * Strict on the node. The scheduler wants the same on the node's rack and on everything as well, closed to others
   * by {@code relaxLocality} (ResourceRequest's own documentation); if the rack is not the one that the
   * ResourceManager knows the node under, it never matches.
   *
   * @param containers 1, or 0 to take it back
   */
  List<ResourceRequest> toResourceRequests(String rack, int containers) {
    return List.of(
        at(node, true, containers), at(rack, false, containers), at(ResourceRequest.ANY, false, containers));
  }

  private ResourceRequest at(String place, boolean relaxLocality, int containers) {
    return ResourceRequest.newBuilder()
        .priority(PRIORITY)
        .resourceName(place)
        .capability(capability)
        .numContainers(containers)
        .relaxLocality(relaxLocality)
        .allocationRequestId(request)
        .build();
  }
}
