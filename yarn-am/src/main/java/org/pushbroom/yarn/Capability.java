package org.pushbroom.yarn;

import com.google.gson.JsonObject;
import java.util.Map;
import org.apache.hadoop.yarn.api.records.Resource;
import org.apache.hadoop.yarn.exceptions.ResourceNotFoundException;
import org.apache.hadoop.yarn.util.resource.ResourceUtils;

/** What a container holds, in YARN's whole numbers. */
final class Capability {
  private static final String GPU = "yarn.io/gpu";
  /** Where the scheduler counts memory alone, its figure of cores is nobody's limit. */
  private static final long UNCOUNTED_VCORES = 1_000_000;

  private Capability() {}

  /** @throws OrderException also where the cluster does not know a resource that is asked for */
  static Resource read(Fields fields) throws OrderException {
    long memoryMb = fields.number("memoryMb", 1, Integer.MAX_VALUE);
    int vcores = (int) fields.number("vcores", 1, Integer.MAX_VALUE);
    Resource resource = Resource.newInstance(memoryMb, vcores);
    if (!fields.has("gpus")) return resource;
    long gpus = fields.number("gpus", 0, Integer.MAX_VALUE);
    try {
      if (gpus > 0) resource.setResourceValue(GPU, gpus);
      return resource;
    } catch (ResourceNotFoundException unknown) {
      throw new OrderException("capability.gpus: this cluster does not know the resource " + GPU);
    }
  }

  static JsonObject toJson(Resource resource) {
    JsonObject json = new JsonObject();
    json.addProperty("memoryMb", resource.getMemorySize());
    json.addProperty("vcores", resource.getVirtualCores());
    Map<String, Integer> known = ResourceUtils.getResourceTypeIndex();
    if (known.containsKey(GPU) && resource.getResourceValue(GPU) > 0) {
      json.addProperty("gpus", resource.getResourceValue(GPU));
    }
    return json;
  }

  /** What a queue has left. It may be negative while the queue is over its share: nothing is left then. */
  static JsonObject available(Resource resource, boolean isCpuCounted) {
    JsonObject json = toJson(resource);
    json.addProperty("memoryMb", Math.max(0, resource.getMemorySize()));
    json.addProperty("vcores", isCpuCounted ? Math.max(0, resource.getVirtualCores()) : UNCOUNTED_VCORES);
    return json;
  }
}
