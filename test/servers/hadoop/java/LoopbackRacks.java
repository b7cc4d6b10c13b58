import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.conf.Configured;
import org.apache.hadoop.net.DNSToSwitchMapping;
import org.apache.hadoop.net.NetworkTopology;

/** Racks by address, from the property pushbroom.racks: "127.1.2.11=/rack1,127.1.2.12=/rack2". */
public final class LoopbackRacks extends Configured implements DNSToSwitchMapping {
  private final Map<String, String> racks = new HashMap<>();

  @Override
  public void setConf(Configuration conf) {
    super.setConf(conf);
    if (conf == null) return;
    for (String entry : conf.getTrimmedStrings("pushbroom.racks")) {
      String[] parts = entry.split("=", 2);
      racks.put(parts[0], parts[1]);
    }
  }

  @Override
  public List<String> resolve(List<String> names) {
    return names.stream().map(name -> racks.getOrDefault(name, NetworkTopology.DEFAULT_RACK)).toList();
  }

  @Override
  public void reloadCachedMappings() {}

  @Override
  public void reloadCachedMappings(List<String> names) {}
}
