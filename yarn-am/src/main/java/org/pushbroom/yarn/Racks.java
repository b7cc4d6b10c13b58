package org.pushbroom.yarn;

import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.hadoop.net.NetworkTopology;

/** The racks of nodes as the ResourceManager names them. */
final class Racks {
  private final Map<String, String> rackOf = new ConcurrentHashMap<>();

  void put(Map<String, String> racks) {
    rackOf.putAll(racks);
  }

  String of(String node) {
    return rackOf.getOrDefault(node, NetworkTopology.DEFAULT_RACK);
  }
}
