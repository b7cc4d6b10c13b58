package org.pushbroom.yarn;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParseException;
import com.google.gson.JsonParser;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** One object of an order, read field by field; a field that is not as agreed is named with its whole place. */
final class Fields {
  /** The largest whole number that JavaScript keeps exactly. */
  static final long MAX_SAFE_INTEGER = (1L << 53) - 1;

  private final String place;
  private final JsonObject object;

  private Fields(String place, JsonObject object) {
    this.place = place;
    this.object = object;
  }

  /** @throws OrderException if the line is not one JSON object */
  static Fields parse(String line) throws OrderException {
    try {
      JsonElement element = JsonParser.parseString(line);
      if (element.isJsonObject()) return new Fields("", element.getAsJsonObject());
    } catch (JsonParseException | StackOverflowError garbage) {
      // Said below, without its text: it may hold secrets.
    }
    throw new OrderException("a line of " + line.length() + " characters is not a JSON object");
  }

  boolean has(String name) {
    return object.has(name) && !object.get(name).isJsonNull();
  }

  String text(String name) throws OrderException {
    JsonElement value = object.get(name);
    if (value == null || !value.isJsonPrimitive() || !value.getAsJsonPrimitive().isString()) {
      throw wrong(name, "a string");
    }
    return value.getAsString();
  }

  String text(String name, String otherwise) throws OrderException {
    return has(name) ? text(name) : otherwise;
  }

  /** A whole number from {@code least} to {@code most}. */
  long number(String name, long least, long most) throws OrderException {
    JsonElement value = object.get(name);
    if (value != null && value.isJsonPrimitive() && value.getAsJsonPrimitive().isNumber()) {
      double number = value.getAsDouble();
      if (number == Math.rint(number) && number >= least && number <= most) return (long) number;
    }
    throw wrong(name, "a whole number from " + least + " to " + most);
  }

  <T extends Enum<T>> T oneOf(String name, Class<T> type) throws OrderException {
    try {
      return Enum.valueOf(type, text(name));
    } catch (IllegalArgumentException unknown) {
      throw wrong(name, "one of " + List.of(type.getEnumConstants()));
    }
  }

  Fields object(String name) throws OrderException {
    JsonElement value = object.get(name);
    if (value == null || !value.isJsonObject()) throw wrong(name, "an object");
    return new Fields(at(name) + ".", value.getAsJsonObject());
  }

  List<Fields> objects(String name) throws OrderException {
    List<Fields> all = new ArrayList<>();
    for (JsonElement element : array(name)) {
      if (!element.isJsonObject()) throw wrong(name, "an array of objects");
      all.add(new Fields(at(name) + "[" + all.size() + "].", element.getAsJsonObject()));
    }
    return all;
  }

  List<String> texts(String name) throws OrderException {
    List<String> all = new ArrayList<>();
    for (JsonElement element : array(name)) {
      if (!element.isJsonPrimitive()) throw wrong(name, "an array of strings");
      all.add(element.getAsString());
    }
    return all;
  }

  Map<String, String> textByName(String name) throws OrderException {
    Fields fields = object(name);
    Map<String, String> all = new LinkedHashMap<>();
    for (String key : fields.object.keySet()) all.put(key, fields.text(key));
    return all;
  }

  private JsonArray array(String name) throws OrderException {
    JsonElement value = object.get(name);
    if (value == null || !value.isJsonArray()) throw wrong(name, "an array");
    return value.getAsJsonArray();
  }

  private OrderException wrong(String name, String expected) {
    return new OrderException(at(name) + " has to be " + expected);
  }

  private String at(String name) {
    return place + name;
  }
}
